// Makes an EC key pair in a token, in a process of its own. Arguments: module, token label, PIN, label, CKA_ID in hex, curve.

import { createRequire } from 'node:module';

const pkcs11 = createRequire(import.meta.url)('pkcs11js') as typeof import('pkcs11js');
const [module = '', token = '', pin = '', label = '', id = '', curve = ''] = process.argv.slice(2);
const parameters: Readonly<Record<string, string>> = {
  'P-256': '06082a8648ce3d030107',
  'P-384': '06052b81040022',
  'P-521': '06052b81040023',
};

const api = new pkcs11.PKCS11();
api.load(module);
api.C_Initialize();
const slot = api.C_GetSlotList(true).find((each) => api.C_GetTokenInfo(each).label.trimEnd() === token);
if (!slot) throw new Error('no such token');
const session = api.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION);
api.C_Login(session, pkcs11.CKU_USER, pin);
const named = [
  { type: pkcs11.CKA_TOKEN, value: true },
  { type: pkcs11.CKA_LABEL, value: label },
  { type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') },
];
api.C_GenerateKeyPair(
  session,
  { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN },
  [...named, { type: pkcs11.CKA_EC_PARAMS, value: Buffer.from(parameters[curve] ?? '', 'hex') }],
  [
    ...named,
    { type: pkcs11.CKA_PRIVATE, value: true },
    { type: pkcs11.CKA_SENSITIVE, value: true },
    { type: pkcs11.CKA_EXTRACTABLE, value: false },
    { type: pkcs11.CKA_SIGN, value: true },
    { type: pkcs11.CKA_DERIVE, value: true },
  ],
);
api.C_Finalize();
