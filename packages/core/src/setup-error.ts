// What stops a process from starting: its surroundings are not as they must be. The message is ours, for the operator: it names
// files, settings and addresses of servers and what is wrong with them, so the log shows it; nothing of mail goes in.

export class SetupError extends Error {
  override readonly name = 'SetupError';
}
