// Renders the error table of packages/core as docs/errors.md.
// Usage: npm run docs        writes the file; a test fails while it differs from the table.

import { type ErrorEntry, errors } from '@sealpost/core';

const head = `# Errors

Every error that a Sealpost process can answer with or put a message aside for, made from the table in
\`packages/core/src/errors.ts\`. Texts are constants: nothing of a mail is ever in them.

What the pipeline does:

- **retry**: tries again later; when the message has become too old it is bounced or quarantined, as the column says.
- **reject**: answers in the SMTP dialogue; the client keeps the message.
- **bounce**: returns a delivery report (RFC 3464) to the sender; mail without a sender is quarantined.
- **quarantine**: sets the message aside, still sealed; \`sealpost queue list\` shows it, \`queue retry\` or \`queue release\` ends it.
- **alert**: quarantine, and an \`alert.authenticity\` event: it should be impossible, so somebody should look.

| code | action | SMTP | text |
|---|---|---|---|
`;

/** The whole file. */
export function renderErrors(): string {
  const rows = Object.entries(errors).map(([code, entry]: [string, ErrorEntry]) => {
    const action = entry.exhausted ? `${entry.action}, then ${entry.exhausted}` : entry.action;
    return `| \`${code}\` | ${action} | ${entry.smtp.join(' ')} | ${entry.text} |`;
  });
  return `${head}${rows.join('\n')}\n`;
}
