// PKCS#12 files as many programs export them: those with a known password open, damaged and foreign ones end in a code.

import assert from 'node:assert/strict';
import { readPkcs12, SmimeError } from '@sealpost/smime';
import type { Case } from './case.ts';
import { read, rowsOf } from './material.ts';

export function pkcs12Cases(): Case[] {
  return rowsOf('p12', 'rfc9216')
    .filter(({ kind }) => kind.startsWith('p12'))
    .map(({ set, file, kind, password }) => ({
      set,
      name: file,
      run: () => {
        if (kind === 'p12') {
          const { certificates, privateKeys } = readPkcs12(read(file), password);
          assert.ok(certificates.length + privateKeys.length > 0);
          if (set === 'rfc9216') assert.ok(certificates.length >= 2 && privateKeys.length === 2);
          return;
        }
        for (const tried of ['', '1234', 'password']) {
          assert.throws(
            () => readPkcs12(read(file), tried),
            (error) => error instanceof SmimeError,
          );
        }
      },
    }));
}
