// `sealpost plan`: how many processes a load needs, by a small queueing model.

import { type Command, Option } from 'commander';
import { printJson, printTable } from '../output.ts';
import { type Forecast, plan } from '../plan/forecast.ts';
import { measuredTimes } from '../plan/from-prometheus.ts';
import { toBytes, toCores, toMix, toRate, toSeconds, toVariability } from '../plan/quantities.ts';
import { recordedTimes } from '../plan/recorded.ts';

interface Options {
  readonly rate: number;
  readonly size: number;
  readonly mix: number;
  readonly p99: number;
  readonly variability: number;
  readonly ingressMs?: number;
  readonly workerMs?: number;
  readonly egressMs?: number;
  readonly redisMs?: number;
  readonly cores?: number;
  readonly idle?: number;
  readonly fromPrometheus?: string;
  readonly json?: boolean;
}

export function addPlanCommand(program: Command): void {
  program
    .command('plan')
    .description('tell how many ingress, crypto worker and egress processes a load needs')
    .requiredOption('--rate <messages>', 'messages that arrive: 300/s, 20000/h', toRate)
    .option('--size <bytes>', 'mean size of a message', toBytes, 80_000)
    .option('--mix <share>', 'share of outbound mail: outbound=0.7', toMix, 0.5)
    .option('--p99 <time>', 'time in which 99 of 100 messages are through', toSeconds, 2)
    .option('--variability <number>', 'how much service times vary: variance / mean²', toVariability, 1)
    .addOption(partOption('--ingress-ms <ms>', 'the ingress'))
    .addOption(partOption('--worker-ms <ms>', 'a crypto worker'))
    .addOption(partOption('--egress-ms <ms>', 'the egress'))
    .addOption(partOption('--redis-ms <ms>', 'Redis'))
    .option('--cores <number>', 'processor cores that all processes share; a core for each unless given', toCores)
    .option(
      '--idle <time>',
      'what a message takes beyond processor time while it is alone (disks, network): 10ms; nothing unless given',
      toSeconds,
    )
    .option(
      '--from-prometheus <url>',
      'processor time of a message from the metrics of the last hour, which should be a busy one: an idle process uses some, too',
    )
    .option('--json', 'print one JSON value')
    .addHelpText('after', '\nExample:\n  sealpost plan --rate 300/s --size 80KB --mix outbound=0.7 --p99 2s')
    .action(run);
}

function partOption(flags: string, part: string): Option {
  return new Option(flags, `processor time of a message in ${part}, in milliseconds`).argParser(
    (text) => toSeconds(`${text}ms`) * 1000,
  );
}

async function run(options: Options): Promise<void> {
  const { rate, size, mix, p99, variability, fromPrometheus, cores, idle } = options;
  const measured = fromPrometheus === undefined ? {} : await measuredTimes(fromPrometheus);
  const service = { ...recordedTimes(size, mix), ...measured, ...givenTimes(options) };
  const more = { ...(cores === undefined ? {} : { cores }), ...(idle === undefined ? {} : { idle }) };
  const made = plan({ rate, service, variability, p99, ...more });
  if (options.json) printJson({ model: 'M/G/c (Lee and Longton)', rate, p99, variability, ...more, ...made });
  else show(made, options);
  if (!made.met) process.exitCode = 1;
}

function givenTimes({ ingressMs, workerMs, egressMs, redisMs }: Options) {
  const given = { ingress: ingressMs, redis: redisMs, 'crypto-worker': workerMs, egress: egressMs };
  return Object.fromEntries(
    Object.entries(given).flatMap(([part, ms]) => (ms === undefined ? [] : [[part, ms / 1000] as const])),
  );
}

function show({ parts, total, met, limit }: Forecast, { rate, p99, fromPrometheus, cores, idle }: Options): void {
  printTable(
    ['part', 'processes', 'used', 'processor time', 'wait p50', 'wait p90', 'wait p99'],
    parts.map(({ part, processes, utilisation, service, wait }) => [
      part,
      String(processes),
      `${Math.round(utilisation * 100)} %`,
      time(service),
      ...[wait.p50, wait.p90, wait.p99].map(time),
    ]),
  );
  const times = fromPrometheus === undefined ? 'recorded or given' : 'measured here in the last hour';
  const lines = [
    '',
    `${Number(rate.toPrecision(3))} messages/s are through after ${time(total.p50)} (half of them), ${time(total.p90)} (9 of 10), ${time(total.p99)} (99 of 100).`,
    verdict(met, limit, p99),
    `${cores === undefined ? 'Each process has a processor core' : `All share ${cores} processor cores`}. Model: M/G/c by Lee and Longton, service times ${times};`,
    `${idle === undefined ? 'without disks and the network (--idle), and without' : 'without'} what the next hop takes. One process more of each kind carries the failure of one.`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function verdict(met: boolean, limit: Forecast['limit'], p99: number): string {
  if (met) return `That meets the target of ${time(p99)}.`;
  if (limit) return `One ${limit} does not carry that, and there can be only one: split the load over installations.`;
  return `No number of processes meets the target of ${time(p99)}: the work on one message takes too long.`;
}

function time(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'endless';
  if (seconds === 0) return '0';
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(2))} ms` : `${Number(seconds.toPrecision(2))} s`;
}
