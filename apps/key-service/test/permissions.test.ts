// Every operation asked for with every credential, held against the one table.

import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TICKET_PURPOSE } from '@sealpost/core';
import { type KeyOperation, keyOperations, personRoles, type TlsFiles } from '@sealpost/service';
import { type Certificate, type CertificateProfile, issueCertificate } from '@sealpost/smime';
import { actOf } from '../src/acts/index.ts';
import { actNames } from '../src/acts/names.ts';
import { refusal } from '../src/admission.ts';
import type { Authority } from '../src/authority/authority.ts';
import type { ClientRole } from '../src/authority/service-authority.ts';
import { confinable, permissions } from '../src/permissions.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { readSlotFile } from '../src/vault/slot-file.ts';
import { addPerson, withStore } from './people.ts';
import { type RunningKeyService, runKeyService } from './running-key-service.ts';

const roles: readonly ClientRole[] = ['ingress', 'crypto-worker', 'egress', ...personRoles];
const operations = Object.keys(keyOperations) as KeyOperation[];

interface Credential {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

let service: RunningKeyService;
const odd = new Map<string, Credential>();
const people = new Map<string, TlsFiles>();

before(async () => {
  service = await runKeyService({
    async prepare(directory, config) {
      await withStore(config, readSlotFile(join(directory, 'root')).bytes, async (store) => {
        for (const [name, credential] of await oddCredentials(store.serviceAuthority)) odd.set(name, credential);
        for (const role of personRoles) people.set(role, await addPerson(store, directory, role, `${role}-person`));
        people.set('confined', await addPerson(store, directory, 'operator', 'confined', ['alpha']));
        // As a production store begins, but without codes: second-factor.test.ts shows those.
        const policy = firstPolicy(false);
        await store.policies.replace({ ...policy, secondFactor: { ...policy.secondFactor, required: false } });
      });
    },
  });
});

after(() => service[Symbol.asyncDispose]());

/** Certificates that must open nothing. */
async function oddCredentials(ca: Authority): Promise<Map<string, Credential>> {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const yearMs = 365 * 86_400_000;
  const issue = async (
    uris: readonly string[],
    profile: CertificateProfile = 'tls-client',
    lifeMs = yearMs,
    more = {},
  ) => ({
    key,
    certificate: await ca.issue({ subject: { commonName: 'odd' }, uris, publicKey, profile, ...more }, lifeMs),
  });
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const foreignCa = issueCertificate({
    subject: { commonName: 'Sealpost service CA', organization: 'Sealpost' },
    publicKey: own.publicKey,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + yearMs),
    profile: 'ca',
    issuer: { certificate: 'self', privateKey: own.privateKey },
  });
  const foreign = issueCertificate({
    subject: { commonName: 'operator' },
    uris: ['sealpost://person/operator/default'],
    publicKey,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + yearMs),
    profile: 'tls-client',
    issuer: { certificate: foreignCa, privateKey: own.privateKey },
  });
  return new Map([
    ['of a ticket key', await issue(['sealpost://ticket/crypto-worker/one'], { purpose: TICKET_PURPOSE })],
    ['of a ticket key with a client purpose', await issue(['sealpost://ticket/crypto-worker/one'])],
    ['of a server', await issue(['sealpost://person/operator/one'], 'tls-server')],
    ['that has expired', await issue(['sealpost://person/operator/one'], 'tls-client', -60_000)],
    ['of a foreign CA with our names', { key, certificate: foreign }],
    ['of an unknown role', await issue(['sealpost://service/auditor/one'])],
    ['of a role in another case', await issue(['sealpost://person/Operator/one'])],
    ['of a person whom the store does not know', await issue(['sealpost://person/operator/one'])],
    [
      'in the name of somebody whom the store knows by another',
      await issue(['sealpost://person/auditor/auditor-person']),
    ],
    ['of somebody whom the store knows in another role', await issue(['sealpost://person/key-admin/auditor-person'])],
    ['of a service that calls itself operator', await issue(['sealpost://service/operator/one'])],
    ['of a person that calls itself worker', await issue(['sealpost://person/crypto-worker/one'])],
    ['of two roles', await issue(['sealpost://service/ingress/one', 'sealpost://person/operator/one'])],
    [
      'with a host name beside',
      await issue(['sealpost://person/operator/one'], 'tls-client', yearMs, { dnsNames: ['x.test'] }),
    ],
    ['with a path beside', await issue(['sealpost://person/operator/one/two'])],
    ['without a name', await issue([])],
  ]);
}

/** HTTP status and code, or `no connection` when TLS lets nobody in. */
function ask(operation: string, tls: object, body = '{"unknown":true}'): Promise<string> {
  return new Promise((resolve) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: service.port,
        path: `/v1/${operation}`,
        method: 'POST',
        agent: false,
        ca: readFileSync(service.config.keyService.caFile),
        headers: { 'content-type': 'application/json' },
        ...tls,
      },
      (response) => {
        let text = '';
        response.on('data', (part: Buffer) => (text += part.toString()));
        response.on('end', () =>
          resolve(response.statusCode === 200 ? '200' : `${response.statusCode} ${JSON.parse(text).code}`),
        );
        response.on('error', () => resolve('no connection'));
      },
    );
    asked.on('error', () => resolve('no connection'));
    // Wrong on purpose: what is refused for its form was let in, and nothing is changed.
    asked.end(body);
  });
}

function credentialOf(role: string): object {
  const person = people.get(role);
  if (person) return { cert: readFileSync(person.certificateFile), key: readFileSync(person.keyFile) };
  const { credentials, passphraseFile } = service.config.keyService;
  return {
    cert: readFileSync(join(credentials, `${role}.crt`)),
    key: readFileSync(join(credentials, `${role}.key`)),
    passphrase: readFileSync(passphraseFile ?? '', 'utf8').trim(),
  };
}

test('each role may do exactly what the table says', async () => {
  for (const role of roles) {
    const credential = { ...credentialOf(role), agent: new Agent({ keepAlive: true, maxSockets: 1 }) };
    for (const operation of operations) {
      const answer = await ask(operation, credential);
      const expected = permissions[operation].includes(role) ? '400 request-malformed' : '403 forbidden';
      assert.equal(answer, expected, `${operation} by ${role}`);
    }
    credential.agent.destroy();
  }
});

test('each act is requested by whom its table says, who has its duty, and by nobody else', async () => {
  const policy = firstPolicy(false);
  for (const role of personRoles) {
    const credential = { ...credentialOf(role), agent: new Agent({ keepAlive: true, maxSockets: 1 }) };
    for (const act of actNames) {
      const { requestedBy, duty } = actOf(act) ?? assert.fail(act);
      const isAllowed = requestedBy.includes(role) && (duty === undefined || policy.duties[duty].includes(role));
      // Parameters that no act takes: who is let in is told so.
      const answer = await ask('act-request', credential, JSON.stringify({ act, params: { unknown: 1 }, reason: 'x' }));
      assert.equal(answer, isAllowed ? '400 request-malformed' : '403 forbidden', `${act} by ${role}`);
    }
    credential.agent.destroy();
  }
});

test('a person of one tenant reaches nothing of another, and nothing that cannot be confined', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const credential = { ...credentialOf('confined'), agent };
  for (const operation of operations) {
    const isAllowed = permissions[operation].includes('operator') && confinable.includes(operation);
    assert.equal(await ask(operation, credential), isAllowed ? '400 request-malformed' : '403 forbidden', operation);
  }
  const answers = async (operation: KeyOperation, request: object) =>
    await ask(operation, credential, JSON.stringify(request));
  assert.equal(await answers('identity-add', { address: 'zoe@alpha.test', algorithm: 'p-256' }), '200');
  assert.equal(await answers('identity-add', { address: 'zoe@beta.test', algorithm: 'p-256' }), '422 address-not-ours');
  assert.equal(await answers('identity-show', { address: 'zoe@alpha.test' }), '200');
  for (const tenant of ['beta', 'installation', 'gamma']) {
    assert.equal(await answers('trust-list', { tenant }), '403 forbidden');
    assert.equal(await answers('trust-anchors', { tenant }), '403 forbidden');
    assert.equal(await answers('certificates', { tenant, address: 'zoe@beta.test' }), '403 forbidden');
    assert.equal(await answers('keys-show', { keyId: `${tenant}/ca.internal/ca/1` }), '403 forbidden');
  }
  assert.equal(await answers('keys-show', { keyId: 'alpha/ca.internal/ca/1' }), '200');
  assert.equal(await answers('trust-list', {}), '200');
  agent.destroy();
});

test('in a development store the operator may do what the other people may, and nobody else more than the table says', async () => {
  for (const operation of operations) {
    for (const role of roles) {
      const caller = { role, name: 'default', fingerprint: '' };
      const code = await refusal(operation, caller, { store: undefined, development: true, now: new Date() });
      const own = role === 'operator' ? personRoles : [role];
      const isAllowed = permissions[operation].some((each) => own.some((mine) => mine === each));
      assert.equal(code, isAllowed ? undefined : 'forbidden', `${operation} by ${role}`);
    }
  }
});

test('what is not in the table is refused to everybody', async () => {
  for (const path of ['', 'export', 'lease/', 'LEASE', '../v1/lease', 'lease?x=1&y', '%6cease%00', 'status/..']) {
    for (const role of roles) {
      const answer = await ask(path, credentialOf(role));
      assert.match(answer, /^(404 not-found|403 forbidden|400 request-malformed)$/, `${path} by ${role}`);
      assert.notEqual(answer, '200');
    }
  }
});

test('without a certificate there is no connection', async () => {
  for (const operation of operations) assert.equal(await ask(operation, {}), 'no connection');
});

test("the key service's own certificate is no credential", async () => {
  assert.equal(await ask('status', credentialOf('key-service')), 'no connection');
});

test('certificates that were made for something else open nothing', async () => {
  assert.equal(odd.size, 16);
  for (const [name, { certificate, key }] of odd) {
    const tls = { cert: pem(certificate), key: key.export({ format: 'pem', type: 'pkcs8' }) };
    for (const operation of ['status', 'lease', 'identity-add'] as const) {
      assert.match(
        await ask(operation, tls),
        /^(no connection|403 (forbidden|person-unknown))$/,
        `${operation} with a certificate ${name}`,
      );
    }
  }
});

test('refusals stand in the audit log with the certificate that was shown', async () => {
  await ask('lease', credentialOf('ingress'));
  const log = readFileSync(service.config.keyServer.audit.file, 'utf8');
  assert.match(
    log,
    /"kind":"event","operation":"lease",[^\n]*"actor":\{"role":"ingress","name":"default","certificate":"[0-9a-f]{64}"\}[^\n]*"result":"forbidden"|"result":"forbidden","actor":\{"role":"ingress"/,
  );
});

function pem({ der }: Certificate): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
}
