// Runs a benchmark by its name.
// Usage: npm run bench -- NAME [--json] [options of the benchmark, see the head of its file]

const names = ['blobs', 'engine', 'keys', 'latency', 'memory', 'pipeline', 'unwrap-timing'];

const name = process.argv[2] ?? '';
if (!names.includes(name)) {
  process.stderr.write(`No benchmark '${name}'; there are ${names.join(', ')}.\n`);
  process.exit(2);
}
// The benchmark reads the rest as its own command line.
process.argv.splice(2, 1);
await import(`./${name}.ts`);
