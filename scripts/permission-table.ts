// The table of docs/key-management.md that says which role may ask the key service for what.

import { permissions } from '../apps/key-service/src/permissions.ts';

const roles = ['ingress', 'crypto-worker', 'egress', 'operator', 'key-admin', 'custodian', 'auditor'] as const;

/** The page with its table as the code has it. */
export function withPermissions(page: string): string {
  const rows = Object.entries(permissions).map(([operation, allowed]) => [
    `\`${operation}\``,
    ...roles.map((role) => (allowed.includes(role) ? 'yes' : '–')),
  ]);
  const lines = [['operation', ...roles], ['---', ...roles.map(() => '---')], ...rows];
  const table = lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
  return page.replace(/\| operation \| ingress [\s\S]*?\n(?=\n)/, () => table);
}
