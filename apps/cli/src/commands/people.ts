// `sealpost people`: who works with the key service, each with a key made on the own machine and a second factor.

import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type KeyAnswer, type PersonRole, personRoles, readSecret } from '@sealpost/service';
import { type Command, Option } from 'commander';
import { requestAct, showAct } from '../acts.ts';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson, printTable } from '../output.ts';
import { UsageError } from '../usage-error.ts';

type Options = InstallationOptions & { readonly json?: boolean };
type Asking = Options & { readonly reason: string };
type JsonObject = Parameters<typeof requestAct>[1]['params'];

export function addPeopleCommands(program: Command): void {
  const people = program.command('people').description('who works with the key service, and with which second factor');

  people
    .command('key <path>')
    .description('make your key pair on your own machine: PATH.key, which stays here, and PATH.pub')
    .requiredOption('--passphrase-file <file>', 'file with the passphrase that encrypts PATH.key')
    .addHelpText('after', '\nExample:\n  sealpost people key ~/sealpost/alice --passphrase-file ~/sealpost/passphrase')
    .action((path: string, options: { passphraseFile: string }) => makeKey(path, readSecret(options.passphraseFile)));

  withInstallation(people.command('list'))
    .description('list the people whom the key service knows')
    .addHelpText('after', '\nExample:\n  sealpost people list')
    .action(async (options: Options) => {
      const { people: all } = await withKeyAdmin(options, (admin) => admin.call('people-list', {}));
      if (options.json) return printJson(all.map(({ certificate, ...rest }) => ({ ...rest, pem: pemOf(certificate) })));
      show(all);
    });

  withInstallation(people.command('certificate <name>'))
    .description('print the certificate of somebody, as it belongs beside the key')
    .addHelpText('after', '\nExample:\n  sealpost people certificate alice > ~/sealpost/alice.crt')
    .action(async (name: string, options: Options) => {
      const { people: all } = await withKeyAdmin(options, (admin) => admin.call('people-list', {}));
      const found = all.find((person) => person.name === name);
      if (!found) throw new UsageError(`the key service knows nobody by the name ${name}`);
      process.stdout.write(pemOf(found.certificate));
    });

  asking(people.command('add <name>'))
    .description('request that somebody is let in')
    .addOption(new Option('--role <role>', 'what the person will be').choices(personRoles).makeOptionMandatory())
    .requiredOption('--key <file>', "the person's PATH.pub")
    .option('--tenant <id...>', 'confine an operator to these tenants')
    .addHelpText('after', example('add dora --role custodian --key dora.pub'))
    .action((name: string, options: Asking & { role: PersonRole; key: string; tenant?: string[] }) => {
      const scope = options.tenant === undefined ? {} : { tenants: options.tenant };
      return ask('person-add', { role: options.role, name, publicKey: publicKeyIn(options.key), ...scope }, options);
    });

  asking(people.command('renew <name>'))
    .description('request a certificate for a new key of somebody; the one before is shut out')
    .requiredOption('--key <file>', "the person's PATH.pub")
    .addHelpText('after', example('renew bob --key bob.pub'))
    .action((name: string, options: Asking & { key: string }) =>
      ask('person-renew', { name, publicKey: publicKeyIn(options.key) }, options),
    );

  asking(people.command('remove <name>'))
    .description('request that somebody is shut out')
    .addHelpText('after', example('remove bob'))
    .action((name: string, options: Asking) => ask('person-remove', { name }, options));

  asking(people.command('reset <name>'))
    .description('request that the second factor of somebody is forgotten, who then enrols again')
    .addHelpText('after', example('reset bob'))
    .action((name: string, options: Asking) => ask('factor-reset', { name }, options));

  withInstallation(people.command('enrol'))
    .description('get your second factor, once: an otpauth URI for your authenticator')
    .addHelpText('after', '\nExample:\n  sealpost people enrol --as ~/sealpost/alice | qrencode -t ansiutf8')
    .action(async (options: Options) => {
      const { uri } = await withKeyAdmin(options, (admin) => admin.call('people-enrol', {}));
      if (options.json) printJson({ uri });
      else process.stdout.write(`${uri}\n`);
    });

  withInstallation(people.command('confirm'))
    .description('show that your authenticator works; from then on its codes count')
    .requiredOption('--code <digits>', 'the six digits that it shows now')
    .addHelpText('after', '\nExample:\n  sealpost people confirm --code 123456 --as ~/sealpost/alice')
    .action(async (options: Options & { code: string }) => {
      await withKeyAdmin(options, (admin) => admin.call('people-confirm', { code: options.code }));
      printFacts({ 'second factor': 'confirmed' });
    });

  withInstallation(people.command('present'))
    .description('show a code of your second factor, to work on for some minutes')
    .requiredOption('--code <digits>', 'the six digits that your authenticator shows now')
    .addHelpText('after', '\nExample:\n  sealpost people present --code 123456 --as ~/sealpost/alice')
    .action(async (options: Options & { code: string }) => {
      const { until } = await withKeyAdmin(options, (admin) => admin.call('people-present', { code: options.code }));
      printFacts({ until: until.toISOString() });
    });
}

function asking(command: Command): Command {
  return withInstallation(command).requiredOption('--reason <text>', 'why, for those who approve it and for the log');
}

async function ask(act: string, params: JsonObject, options: Asking): Promise<void> {
  const { reason } = options;
  const done = await withKeyAdmin(options, (admin) => requestAct(admin, { act, params, reason }));
  showAct(done, options.json ?? false, () => printFacts({ [act]: 'done' }));
}

function example(words: string): string {
  return `\nExample:\n  sealpost people ${words} --reason "…" --as ~/sealpost/alice`;
}

function makeKey(path: string, passphrase: string): void {
  if (existsSync(`${path}.key`)) throw new UsageError(`${path}.key is there already`);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase });
  writeFileSync(`${path}.key`, pem, { mode: 0o600, flag: 'wx' });
  writeFileSync(`${path}.pub`, publicKey.export({ type: 'spki', format: 'pem' }), { mode: 0o644 });
  printFacts({ 'bring this': `${path}.pub`, 'keep this': `${path}.key` });
}

/** Base64 of the SPKI; the key service judges what it is. */
function publicKeyIn(file: string): string {
  const [, base64] = /-----BEGIN PUBLIC KEY-----([\s\S]+?)-----END PUBLIC KEY-----/.exec(readFile(file)) ?? [];
  if (base64 === undefined) throw new UsageError(`${file} is not a public key in PEM form`);
  return base64.replace(/\s/g, '');
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new UsageError(`${file} cannot be read`);
  }
}

function pemOf(der: Buffer): string {
  return new X509Certificate(der).toString();
}

function show(people: KeyAnswer<'people-list'>['people']): void {
  printTable(
    ['name', 'role', 'tenants', 'second factor', 'valid until', 'SHA-256'],
    people.map(({ name, role, tenants, secondFactor, lockedUntil, notAfter, fingerprint }) => [
      name,
      role,
      tenants?.join(', ') ?? 'all',
      lockedUntil ? `locked until ${lockedUntil.toISOString()}` : secondFactor ? 'yes' : 'no',
      notAfter.toISOString().slice(0, 10),
      fingerprint.slice(0, 16),
    ]),
  );
}
