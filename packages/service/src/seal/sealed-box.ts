// One secret sealed to an X25519 key (HPKE base mode, RFC 9180) for one purpose and place: version, suite, encapsulated key,
// ciphertext. How the root stands in a slot, and how a share travels to its custodian and to the service.

import type { KeyObject } from 'node:crypto';
import { encapsulatedLength, fail, setupReceiver, setupSender, writeFrame } from '@sealpost/core';

const boxVersion = 1;
/** X25519, HKDF-SHA256, AES-256-GCM. */
const boxSuite = 1;
const nothing = Buffer.alloc(0);

/** What a box is bound to, its purpose first. */
export type BoxPlace = readonly [purpose: string, ...where: (string | Buffer)[]];

export function sealBox(secret: Buffer, to: KeyObject, place: BoxPlace): Buffer {
  const sender = setupSender(to, writeFrame(boxVersion, boxSuite, place));
  return Buffer.concat([Buffer.from([boxVersion, boxSuite]), sender.encapsulated, sender.seal(nothing, secret)]);
}

/** Errors: `version-unsupported`, `sealed-malformed`. */
export function openBox(box: Buffer, key: KeyObject, place: BoxPlace): Buffer {
  if (box[0] !== boxVersion || box[1] !== boxSuite) throw fail('version-unsupported');
  const start = 2 + encapsulatedLength;
  if (box.length < start) throw fail('sealed-malformed');
  const receiver = setupReceiver(box.subarray(2, start), key, writeFrame(boxVersion, boxSuite, place));
  return receiver.open(nothing, box.subarray(start));
}
