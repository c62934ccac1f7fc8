// Who may import whom (DESIGN: rooms): every import in the tree is compared with the rules, and circles between files are found.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

/** Rooms of ours that each room may import. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'packages/core': [],
  'packages/smime': [],
  'packages/queue': ['core'],
  'packages/service': ['core'],
  'packages/testkit': ['core', 'smime', 'queue', 'service'],
  'apps/ingress': ['core', 'smime', 'queue', 'service'],
  'apps/crypto-worker': ['core', 'smime', 'queue', 'service'],
  'apps/egress': ['core', 'smime', 'queue', 'service'],
  'apps/key-service': ['core', 'smime', 'service'],
  'apps/cli': ['core', 'smime', 'queue', 'service', 'testkit'],
};

/** Libraries that only some rooms may name; tests may name any. */
const soleUsers: Readonly<Record<string, readonly string[]>> = {
  bullmq: ['packages/queue'],
  ioredis: ['packages/queue'],
  'smtp-server': ['apps/ingress', 'packages/testkit'],
  nodemailer: ['apps/egress'],
  pkijs: ['packages/smime/src/cms'],
  asn1js: ['packages/smime/src/cms'],
  '@peculiar/x509': ['packages/smime/src/pki'],
  '@opentelemetry': ['packages/service/src/telemetry'],
  'node:sqlite': ['apps/key-service/src/store'],
  pkcs11js: ['apps/key-service/src/hsm', 'packages/testkit'],
  'shamir-secret-sharing': ['packages/service/src/seal'],
};

/** Inside the engine: mime knows neither cms nor pki, pki knows neither of the others, cms may use pki. */
const insideSmime: Readonly<Record<string, readonly string[]>> = { mime: [], pki: [], cms: ['pki'] };

const pureRooms = ['packages/core/src', 'packages/smime/src'];
/** What a pure room may take from Node: bytes, cryptography, decompression; nothing that does I/O. */
const pureModules = ['node:crypto', 'node:buffer', 'node:zlib', 'node:util', 'node:url', 'node:net'];

interface Import {
  readonly file: string;
  readonly target: string;
}

const sources = globSync('{packages,apps}/*/src/**/*.ts', { cwd: root });
const imports: readonly Import[] = sources.flatMap((file) => importsOf(file));

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const pattern =
    /^\s*(?:import|export)\b[^'"`;]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;
  return [...text.matchAll(pattern)].map((match) => ({ file, target: match[1] ?? match[2] ?? match[3] ?? '' }));
}

function roomOf(file: string): string {
  return file.split('/').slice(0, 2).join('/');
}

test('the tree is read at all', () => {
  assert.ok(sources.length > 50);
  assert.ok(imports.length > sources.length);
});

test('rooms import only the rooms that the design lets them', () => {
  const wrong = imports.filter(({ file, target }) => {
    const name = /^@sealpost\/([a-z-]+)/.exec(target)?.[1];
    return name !== undefined && !mayImport[roomOf(file)]?.includes(name);
  });
  assert.deepEqual(wrong, []);
});

test('no file reaches into another room by path', () => {
  const wrong = imports.filter(
    ({ file, target }) => target.startsWith('.') && roomOf(normalize(join(dirname(file), target))) !== roomOf(file),
  );
  assert.deepEqual(wrong, []);
});

test('a room is used through its index only', () => {
  assert.deepEqual(
    imports.filter(({ target }) => /^@sealpost\/[a-z-]+\/./.test(target)),
    [],
  );
});

test('libraries with one owner are named by their owner only', () => {
  const wrong = imports.filter(({ file, target }) =>
    Object.entries(soleUsers).some(
      ([library, owners]) =>
        (target === library || target.startsWith(`${library}/`)) && !owners.some((owner) => file.startsWith(owner)),
    ),
  );
  assert.deepEqual(wrong, []);
});

test('inside the engine, mime, pki and cms keep their order', () => {
  const wrong = imports.filter(({ file, target }) => {
    const from = /^packages\/smime\/src\/(mime|pki|cms)\//.exec(file)?.[1];
    const to = /^packages\/smime\/src\/(mime|pki|cms)\//.exec(normalize(join(dirname(file), target)))?.[1];
    return (
      from !== undefined &&
      target.startsWith('.') &&
      to !== undefined &&
      to !== from &&
      !insideSmime[from]?.includes(to)
    );
  });
  assert.deepEqual(wrong, []);
});

test('pure rooms use no I/O, no environment, no clock', () => {
  const pure = sources.filter((file) => pureRooms.some((room) => file.startsWith(room)));
  const impure = imports.filter(
    ({ file, target }) => pure.includes(file) && target.startsWith('node:') && !pureModules.includes(target),
  );
  assert.deepEqual(impure, []);
  const reads = pure.filter((file) =>
    /process\.env|Date\.now\(|new Date\(\)|Math\.random\(|console\./.test(code(file)),
  );
  assert.deepEqual(reads, []);
});

test('no circles between files', () => {
  const graph = new Map<string, string[]>();
  for (const { file, target } of imports) {
    if (!target.startsWith('.')) continue;
    graph.set(file, [...(graph.get(file) ?? []), normalize(join(dirname(file), target))]);
  }
  assert.equal(findCircle(graph), undefined);
});

/** The first circle found by depth-first search, as a readable chain. */
function findCircle(graph: ReadonlyMap<string, readonly string[]>): string | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file].join(' → ');
    if (done.has(file)) return undefined;
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next);
      if (circle) return circle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = visit(file);
    if (circle) return circle;
  }
  return undefined;
}

/** Source without comments, roughly: enough to look for calls. */
function code(file: string): string {
  return readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}
