// Runs a TypeScript file of this project with the Node that the lockfile pins, installing the locked dependencies first when they
// are missing. Plain JavaScript, because it must start on whatever Node the host has (20 or newer).
// Usage: node scripts/with-node.mjs FILE [ARGUMENT…]

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, realpathSync, statSync } from 'node:fs';
import * as module from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const pinnedMajor = 26;

installWhenMissing();
const [file, ...rest] = process.argv.slice(2);
const node = findNode();
// Types are stripped and code compiled once, not at every start: most of the time of a short command.
const compileCache = join(root, 'node_modules/.cache/sealpost');
if (realpathSync(node) === process.execPath) await runHere();
else runThere();

/** npx and npm put the pinned Node first on the path, so this usually is it already. */
async function runHere() {
  Object.assign(process.env, withNodeFirst(node));
  process.argv = [node, join(root, file), ...rest];
  module.enableCompileCache(compileCache);
  await import(pathToFileURL(process.argv[1]));
}

function runThere() {
  const child = spawn(node, [join(root, file), ...rest], { stdio: 'inherit', env: withNodeFirst(node) });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = signal ? 1 : (code ?? 1);
  });
}

/** npm writes `node_modules/.package-lock.json` last, so it tells whether an install finished and for which lockfile. */
function installWhenMissing() {
  const done = join(root, 'node_modules/.package-lock.json');
  const isCurrent = existsSync(done) && statSync(done).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs;
  if (isCurrent) return;
  process.stderr.write('sealpost: installing the locked dependencies (npm ci), once …\n');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (npm.status !== 0) {
    process.stderr.write('sealpost: npm ci failed; the lines above say why. Mend that and run the command again.\n');
    process.exit(1);
  }
}

function findNode() {
  const pinned = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin/node');
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= pinnedMajor) return process.execPath;
  process.stderr.write(
    `sealpost: no pinned Node for ${process.platform}-${process.arch}; install Node ${pinnedMajor} or newer and run the command again.\n`,
  );
  process.exit(1);
}

function withNodeFirst(path) {
  const cache = process.env.NODE_COMPILE_CACHE ?? compileCache;
  return {
    ...process.env,
    NODE_COMPILE_CACHE: cache,
    PATH: `${dirname(path)}:${join(root, 'node_modules/.bin')}:${process.env.PATH ?? ''}`,
  };
}
