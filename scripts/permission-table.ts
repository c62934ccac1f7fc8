// What docs/key-management.md shows of the key service's rules: which role may ask for what, which acts take others' approval, and the
// policy that a store for production begins with.

import { actOf } from '../apps/key-service/src/acts/index.ts';
import { actNames } from '../apps/key-service/src/acts/names.ts';
import { permissions } from '../apps/key-service/src/permissions.ts';
import { firstPolicy } from '../apps/key-service/src/policy/first-policy.ts';

const roles = ['ingress', 'crypto-worker', 'egress', 'operator', 'key-admin', 'custodian', 'auditor'] as const;

/** The page with all of it as the code has it. */
export function withPermissions(page: string): string {
  const operations = Object.entries(permissions).map(([operation, allowed]) => [
    `\`${operation}\``,
    ...roles.map((role) => (allowed.includes(role) ? 'yes' : '–')),
  ]);
  const acts = actNames.map((name) => {
    const { requestedBy = [], duty } = actOf(name) ?? {};
    return [`\`${name}\``, requestedBy.join(', '), duty === undefined ? '–' : `\`${duty}\``];
  });
  const policy = `\`\`\`json\n${JSON.stringify(firstPolicy(false), undefined, 2)}\n`;
  return page
    .replace(/\| operation \| ingress [\s\S]*?\n(?=\n)/, () => table(['operation', ...roles], operations))
    .replace(/\| act \| requested by [\s\S]*?\n(?=\n)/, () => table(['act', 'requested by', 'duty'], acts))
    .replace(/```json\n\{\n {2}"version": 1,[\s\S]*?\n(?=```)/, () => policy);
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, headings.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
