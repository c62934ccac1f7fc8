// RC2 in CBC mode (RFC 2268), decryption only: mail and PKCS#12 files of the last century still hold it, and libcrypto
// keeps it behind a switch that would also enable RC4 and MD4. Slow, and small enough to read.

/** The substitution table of RFC 2268 §2, from the digits of pi. */
const PI_TABLE = Buffer.from(
  'd978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32' +
    'bd8f40eb86b77b0bf09521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626' +
    '6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a' +
    '961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731' +
    '2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0bb480c5fb9b1cd2e' +
    'c5f3db47e5a59c770aa62068fe7fc1ad',
  'hex',
);

const BLOCK = 8;

/** Sixty-four 16-bit words from a key of 1 to 128 octets (RFC 2268 §2). */
function expandKey(key: Buffer, effectiveBits: number): Uint16Array {
  const octets = Buffer.alloc(128);
  key.copy(octets);
  for (let i = key.length; i < 128; i++) {
    octets[i] = PI_TABLE[((octets[i - 1] ?? 0) + (octets[i - key.length] ?? 0)) & 0xff] ?? 0;
  }
  const effective = Math.ceil(effectiveBits / 8);
  const mask = 0xff >> (8 * effective - effectiveBits);
  octets[128 - effective] = PI_TABLE[(octets[128 - effective] ?? 0) & mask] ?? 0;
  for (let i = 127 - effective; i >= 0; i--) {
    octets[i] = PI_TABLE[(octets[i + 1] ?? 0) ^ (octets[i + effective] ?? 0)] ?? 0;
  }
  const words = new Uint16Array(64);
  for (let i = 0; i < 64; i++) words[i] = octets.readUInt16LE(2 * i);
  octets.fill(0);
  return words;
}

const ROTATIONS = [1, 2, 3, 5] as const;

/** One block in place (RFC 2268 §4): five mixing rounds, mash, six, mash, five, all backwards. */
function decryptBlock(words: Uint16Array, block: Uint16Array): void {
  let next = 63;
  for (let round = 15; round >= 0; round--) {
    for (let i = 3; i >= 0; i--) {
      const rotation = ROTATIONS[i] ?? 0;
      const value = block[i] ?? 0;
      const turned = ((value >> rotation) | (value << (16 - rotation))) & 0xffff;
      const [before, second, third] = [block[(i + 3) & 3] ?? 0, block[(i + 2) & 3] ?? 0, block[(i + 1) & 3] ?? 0];
      block[i] = turned - (words[next--] ?? 0) - (before & second) - (~before & third);
    }
    if (round !== 11 && round !== 5) continue;
    for (let i = 3; i >= 0; i--) block[i] = (block[i] ?? 0) - (words[(block[(i + 3) & 3] ?? 0) & 63] ?? 0);
  }
}

/** Plaintext without its PKCS#7 padding, or undefined when length or padding are wrong. */
export function decryptRc2Cbc(key: Buffer, effectiveBits: number, iv: Buffer, ciphertext: Buffer): Buffer | undefined {
  if (key.length < 1 || key.length > 128 || effectiveBits < 8 || effectiveBits > 1024) return undefined;
  if (iv.length !== BLOCK || ciphertext.length === 0 || ciphertext.length % BLOCK !== 0) return undefined;
  const words = expandKey(key, effectiveBits);
  const plain = Buffer.alloc(ciphertext.length);
  const block = new Uint16Array(4);
  let chain = iv;
  for (let at = 0; at < ciphertext.length; at += BLOCK) {
    for (let i = 0; i < 4; i++) block[i] = ciphertext.readUInt16LE(at + 2 * i);
    decryptBlock(words, block);
    for (let i = 0; i < 4; i++) plain.writeUInt16LE((block[i] ?? 0) ^ chain.readUInt16LE(2 * i), at + 2 * i);
    chain = ciphertext.subarray(at, at + BLOCK);
  }
  words.fill(0);
  const padding = plain[plain.length - 1] ?? 0;
  if (padding < 1 || padding > BLOCK) return undefined;
  const end = plain.length - padding;
  return plain.subarray(end).every((octet) => octet === padding) ? plain.subarray(0, end) : undefined;
}
