// An audit record as a SIEM takes it: the JSON line as it stands in the log, or in a syslog message (RFC 5424) of facility `log audit`
// with what is searched for as structured data. Framed by its length over TCP (RFC 6587 §3.4.1) and TLS (RFC 5425 §4.3).

import type { AuditRecord } from './chain.ts';

/** RFC 5424 §6.2.1. */
const facility = 13;
const informational = 6;
const warning = 4;
/** For documentation and examples (RFC 5612); private parameter names need some number. */
const enterprise = 32473;

export const exportFormats = ['syslog', 'json-lines'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** `line`: of the log, without its line feed. `host`: name of this installation. */
export function syslogMessage(line: string, host: string): string {
  const record = JSON.parse(line) as AuditRecord;
  const isEvent = record.kind !== 'checkpoint';
  const result = isEvent ? (record.result ?? '') : '';
  const severity = result === '' || result === 'ok' ? informational : warning;
  const data = { seq: String(record.seq), kind: record.kind, result, hash: record.hash };
  const parameters = Object.entries(data)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => ` ${name}="${value.replace(/["\\\]]/g, '\\$&')}"`)
    .join('');
  const id = isEvent ? printable(record.operation, 32) : 'checkpoint';
  const start = `<${facility * 8 + severity}>1 ${record.at} ${printable(host, 255)} sealpost-key-service - ${id}`;
  return `${start} [sealpost@${enterprise}${parameters}] ${line}`;
}

/** As it goes over a connection. */
export function framed(line: string, format: ExportFormat, host: string): string {
  if (format === 'json-lines') return `${line}\n`;
  const message = syslogMessage(line, host);
  return `${Buffer.byteLength(message)} ${message}`;
}

/** Header fields are printable ASCII without spaces; an empty one is a dash. */
function printable(text: string, most: number): string {
  return text.replace(/[^\x21-\x7e]/g, '_').slice(0, most) || '-';
}
