// The key service's memory twin: the port as the stages see it, with the real one's rules about who gets which key for which job.
// Keys live in this process and are gone with it.

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import {
  type CertificateRecord,
  type Clock,
  type Envelope,
  envelopeHash,
  fail,
  formatKeyId,
  isOwnerOf,
  type KeyId,
  type KeyJustification,
  type KeyLease,
  type KeyService,
  type KeyUse,
  normalAddress,
  parseKeyId,
  readFrame,
  type ServiceRole,
  type StageName,
  signTicket,
  spoolIdentity,
  type TenantId,
  TICKET_PURPOSE,
  type Ticket,
  type TicketSigner,
  ticketVerifier,
} from '@sealpost/core';
import {
  type Certificate,
  type CertificateProfile,
  issueCertificate,
  openRecipientInfo,
  parseCertificate,
  readSignRequest,
  signOctets,
} from '@sealpost/smime';

export interface MemoryKeyService {
  /** What a process of this role sees. */
  as(role: ServiceRole, instance?: string): KeyService;
  /** Makes the keys of an identity and certificates by the tenant's own CA. */
  addIdentity(tenant: TenantId, address: string, options?: IdentityOptions): IdentityRecords;
  /**
   * Somebody outside with a certificate of the tenant's CA. The service knows the certificate only; what is returned names the
   * private key too, for the test that plays the partner.
   */
  addPartner(tenant: TenantId, address: string, options?: IdentityOptions): CertificateRecord;
  /** A certificate from elsewhere, such as a partner's. */
  addCertificate(
    tenant: TenantId,
    record: Pick<CertificateRecord, 'certificate' | 'chain' | 'address' | 'pinned'>,
  ): void;
  /** Forgets every certificate of an address. */
  forget(tenant: TenantId, address: string): void;
  addTrust(tenant: TenantId, certificate: Certificate): void;
  /** The tenant's own CA. */
  authority(tenant: TenantId): Authority;
  privateKey(keyId: KeyId): KeyObject;
  /** The operator's word, as the key service signs it. */
  release(ticket: Ticket): Buffer;
  /** `sealed` and `away` refuse every call but those that a stage answers from its cache. */
  state: 'open' | 'sealed' | 'away';
  /** Leases given so far. */
  readonly leases: readonly KeyId[];
  /** Keys that are never lent; a test adds what it wants. */
  readonly inPlace: Set<KeyId>;
  /** Calls that used a key in place so far. */
  readonly uses: readonly KeyId[];
}

export interface IdentityOptions {
  readonly algorithm?: 'rsa' | 'ec';
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface IdentityRecords {
  readonly signing: CertificateRecord;
  readonly decryption: CertificateRecord;
}

export interface Authority {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

const hourMs = 60 * 60_000;
/** Longest wait of any message in a test, and then some. */
const maxTicketAgeMs = 60 * 24 * hourMs;
const leaseLifeMs = 300_000;

/** Validity of what is issued counts from the clock's present time. */
export function memoryKeyService(clock: Clock): MemoryKeyService {
  const serviceCa = newAuthority('Sealpost service CA', clock);
  const authorities = new Map<TenantId, Authority>();
  const trust = new Map<TenantId, Buffer[]>();
  const certificates = new Map<string, CertificateRecord[]>();
  const privateKeys = new Map<KeyId, KeyObject>();
  const markers = new Map<TenantId, Buffer[]>();
  const leases: KeyId[] = [];
  const inPlace = new Set<KeyId>();
  const uses: KeyId[] = [];

  const place = (tenant: TenantId, address: string): string => `${tenant} ${normalAddress(address)}`;

  function authority(tenant: TenantId): Authority {
    const known = authorities.get(tenant) ?? newAuthority(`${tenant} CA`, clock);
    authorities.set(tenant, known);
    return known;
  }

  function addRecord(tenant: TenantId, record: CertificateRecord): CertificateRecord {
    const known = certificates.get(place(tenant, record.address)) ?? [];
    certificates.set(place(tenant, record.address), [record, ...known]);
    return record;
  }

  function makeKey(tenant: TenantId, address: string, use: KeyUse, options: IdentityOptions): CertificateRecord {
    const { publicKey, privateKey } = keyPair(options.algorithm ?? 'ec');
    const profile: CertificateProfile = use === 'signing' ? 'smime-sign' : 'smime-encrypt';
    const { certificate: issuer, privateKey: issuerKey } = authority(tenant);
    const certificate = issueCertificate({
      subject: { commonName: address },
      addresses: [address],
      publicKey,
      notBefore: options.notBefore ?? new Date(clock.now().getTime() - hourMs),
      notAfter: options.notAfter ?? new Date(clock.now().getTime() + 24 * hourMs),
      profile,
      issuer: { certificate: issuer, privateKey: issuerKey },
    });
    const keyId = nextKeyId(tenant, normalAddress(address), use);
    privateKeys.set(keyId, privateKey);
    const { fingerprint, der } = certificate;
    return { fingerprint, certificate: der, chain: [issuer.der], address, keyId, pinned: false };
  }

  function nextKeyId(tenant: TenantId, identity: string, use: KeyUse): KeyId {
    for (let version = 1; ; version++) {
      const keyId = formatKeyId({ tenant, identity, use, version });
      if (!privateKeys.has(keyId)) return keyId;
    }
  }

  function spoolKeyId(tenant: TenantId, stage: StageName): KeyId {
    const keyId = formatKeyId({ tenant, identity: spoolIdentity(stage), use: 'spool', version: 1 });
    if (!privateKeys.has(keyId)) privateKeys.set(keyId, generateKeyPairSync('x25519').privateKey);
    return keyId;
  }

  function privateKey(keyId: KeyId): KeyObject {
    const key = privateKeys.get(keyId);
    if (!key) throw fail('key-denied');
    return key;
  }

  function certificateOf(keyId: KeyId): Certificate | undefined {
    const { tenant, identity } = parseKeyId(keyId);
    const record = certificates.get(place(tenant, identity))?.find((each) => each.keyId === keyId);
    return record && parseCertificate(record.certificate);
  }

  function ticketSigner(role: ServiceRole, instance: string): TicketSigner {
    const { publicKey, privateKey: key } = generateKeyPairSync('ed25519');
    const certificate = issueCertificate({
      subject: { commonName: `${role} ticket key` },
      uris: [`sealpost://ticket/${role}/${instance}`],
      publicKey,
      notBefore: new Date(clock.now().getTime() - hourMs),
      notAfter: new Date(clock.now().getTime() + 24 * hourMs),
      profile: { purpose: TICKET_PURPOSE },
      issuer: { certificate: serviceCa.certificate, privateKey: serviceCa.privateKey },
    });
    return { role, certificate: certificate.der, privateKey: key };
  }

  const service: MemoryKeyService = {
    state: 'open',
    leases,
    inPlace,
    uses,
    authority,
    privateKey,
    addIdentity: (tenant, address, options = {}) => ({
      signing: addRecord(tenant, makeKey(tenant, address, 'signing', options)),
      decryption: addRecord(tenant, makeKey(tenant, address, 'decryption', options)),
    }),
    addPartner(tenant, address, options = {}) {
      const made = makeKey(tenant, address, 'decryption', options);
      const { keyId, ...known } = made;
      addRecord(tenant, known);
      return made;
    },
    addCertificate(tenant, record) {
      addRecord(tenant, { ...record, fingerprint: parseCertificate(record.certificate).fingerprint });
    },
    forget: (tenant, address) => void certificates.delete(place(tenant, address)),
    addTrust: (tenant, { der }) => void trust.set(tenant, [...(trust.get(tenant) ?? []), der]),
    release: (ticket) => signTicket({ ...ticket, kind: 'release' }, ticketSigner('key-service', 'twin')),
    as(role, instance = 'test') {
      const signer = ticketSigner(role, instance);
      const ownStage = role === 'crypto-worker' ? 'crypto' : role === 'egress' ? 'delivery' : undefined;
      const available = (): void => {
        if (service.state === 'sealed') throw fail('key-service-sealed');
        if (service.state === 'away') throw fail('key-service-unavailable');
      };
      const justifiedKey = (keyId: KeyId, { ticket, envelope }: KeyJustification): KeyObject => {
        available();
        if (role !== 'crypto-worker') throw fail('key-denied');
        justify(keyId, ticket, envelope);
        return privateKey(keyId);
      };
      return {
        // From here on to the marker keys: what a stage holds in its own memory for hours.
        ticketSigner: async () => signer,
        ticketAuthorities: async () => [serviceCa.certificate.der],
        async spoolPublicKey(tenant, stage) {
          const keyId = spoolKeyId(tenant, stage);
          return { keyId, publicKey: createPublicKey(privateKey(keyId)) };
        },
        async spoolPrivateKey(keyId) {
          const { identity, use } = parseKeyId(keyId);
          if (!ownStage || use !== 'spool' || identity !== spoolIdentity(ownStage)) throw fail('key-denied');
          return privateKey(keyId);
        },
        async markerKeys(tenant) {
          if (role !== 'egress') throw fail('key-denied');
          const keys = markers.get(tenant) ?? [randomBytes(32)];
          markers.set(tenant, keys);
          return keys;
        },
        async trustAnchors(tenant) {
          return [authority(tenant).certificate.der, ...(trust.get(tenant) ?? [])];
        },
        async certificates(tenant, address) {
          available();
          return certificates.get(place(tenant, address)) ?? [];
        },
        async lease(keyId, justification): Promise<KeyLease> {
          const key = justifiedKey(keyId, justification);
          if (inPlace.has(keyId)) throw fail('key-in-place');
          leases.push(keyId);
          return { keyId, privateKey: key, expiresAt: new Date(clock.now().getTime() + leaseLifeMs) };
        },
        async sign(keyId, justification, items) {
          const key = justifiedKey(keyId, justification);
          uses.push(keyId);
          return items.map(({ certificate, signedAttributes, ...algorithm }) => {
            const holder = certificateOf(keyId);
            const asked = holder?.fingerprint === certificate && readSignRequest(holder, algorithm, signedAttributes);
            if (!asked) throw fail('key-denied');
            return signOctets(key, asked.algorithm, signedAttributes);
          });
        },
        async openRecipients(keyId, justification, items) {
          const key = justifiedKey(keyId, justification);
          const holder = certificateOf(keyId);
          uses.push(keyId);
          return items.map(({ recipientInfo, keyLength }) => {
            const opened = holder && openRecipientInfo(key, holder, recipientInfo, keyLength);
            return opened?.length === keyLength ? opened : undefined;
          });
        },
        close: async () => {},
      };
    },
  };

  /** The real one's rule: a key serves the mail of its own identity only. */
  function justify(keyId: KeyId, bytes: Buffer, envelope: Envelope): void {
    const key = parseKeyId(keyId);
    // Tenant and id as the ticket claims them: which message it speaks for does not matter here, whose key it asks for does.
    const [, tenant, id] = readFrame(bytes, 3).fields;
    const verifier = ticketVerifier([serviceCa.certificate.der], maxTicketAgeMs);
    const claimed = { kind: 'crypto', tenant: String(tenant) as TenantId, id: String(id) } as const;
    const ticket = verifier.verify(bytes, claimed, clock.now());
    if (!ticket.envelopeHash.equals(envelopeHash(envelope))) throw fail('envelope-mismatch');
    if (key.tenant !== ticket.tenant || !isOwnerOf(key, ticket.direction, envelope)) throw fail('key-denied');
  }

  return service;
}

function newAuthority(commonName: string, clock: Clock): Authority {
  const { publicKey, privateKey } = keyPair('ec');
  const certificate = issueCertificate({
    subject: { commonName },
    publicKey,
    notBefore: new Date(clock.now().getTime() - hourMs),
    notAfter: new Date(clock.now().getTime() + 24 * hourMs),
    profile: 'ca',
    issuer: { certificate: 'self', privateKey },
  });
  return { certificate, privateKey };
}

function keyPair(algorithm: 'rsa' | 'ec'): { publicKey: KeyObject; privateKey: KeyObject } {
  return algorithm === 'rsa'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
}
