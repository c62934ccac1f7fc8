// Is the v1.5 unwrap step alone alike in time for good and bad padding? Welch's t over many interleaved samples, for
// RFC 3218: node packages/smime/test/v15-timing.ts [samples]. Prints one JSON line; exit 1 when |t| reaches 4.5.
import { constants, publicEncrypt, randomBytes, randomInt } from 'node:crypto';
import { decryptPkcs1 } from '../src/cms/rsa-transport.ts';
import { person } from './people.ts';

const LIMIT = 4.5;
/** Ciphertexts per class: one only would measure that number, not its padding. */
const VARIETY = 64;

const samples = Number(process.argv[2] ?? 100_000);
const bob = person('bob', 'rsa');
const key = bob.certificate.publicKey;
const wrap = (octets: Buffer, padding: number) => publicEncrypt({ key, padding }, octets);

const good = Array.from({ length: VARIETY }, () => wrap(randomBytes(32), constants.RSA_PKCS1_PADDING));
const classes: Readonly<Record<string, readonly Buffer[]>> = {
  'wrong padding': Array.from({ length: VARIETY }, () => wrap(randomBytes(32), constants.RSA_PKCS1_OAEP_PADDING)),
  'wrong length': Array.from({ length: VARIETY }, () => wrap(randomBytes(31), constants.RSA_PKCS1_PADDING)),
};

function time(octets: Buffer): number {
  const start = process.hrtime.bigint();
  decryptPkcs1(bob.privateKey, octets, 32);
  return Number(process.hrtime.bigint() - start);
}

/** Mean and variance of what lies below the cut: above are collections and other processes. */
function moments(times: readonly number[], cut: number): { mean: number; variance: number; count: number } {
  const kept = times.filter((value) => value <= cut);
  const mean = kept.reduce((sum, value) => sum + value, 0) / kept.length;
  const variance = kept.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (kept.length - 1);
  return { mean, variance, count: kept.length };
}

function welch(left: readonly number[], right: readonly number[]): number {
  const sorted = [...left, ...right].sort((a, b) => a - b);
  const cut = sorted[Math.floor(sorted.length * 0.95)] ?? 0;
  const [a, b] = [moments(left, cut), moments(right, cut)];
  return (a.mean - b.mean) / Math.sqrt(a.variance / a.count + b.variance / b.count);
}

const result: Record<string, number> = {};
for (const [name, bad] of Object.entries(classes)) {
  const times: [number[], number[]] = [[], []];
  for (let index = 0; index < samples + 500; index++) {
    const side = randomInt(2);
    const spent = time((side === 0 ? good : bad)[randomInt(VARIETY)] ?? Buffer.alloc(256));
    if (index >= 500) times[side]?.push(spent);
  }
  result[name] = Number(welch(...times).toFixed(2));
}
const ok = Object.values(result).every((t) => Math.abs(t) < LIMIT);
process.stdout.write(`${JSON.stringify({ samples, limit: LIMIT, welch: result, ok })}\n`);
process.exitCode = ok ? 0 : 1;
