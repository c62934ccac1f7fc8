// The help of every command, as it is printed: what it does, what it takes, an example that begins with the command itself.

import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command } from 'commander';

const directory = join(import.meta.dirname, '../src/commands');

async function wholeProgram(): Promise<Command> {
  const program = new Command('sealpost');
  for (const file of globSync('*.ts', { cwd: directory })) {
    const exported: Record<string, unknown> = await import(join(directory, file));
    const adders = Object.entries(exported).filter(([name]) => /^add[A-Z]\w*Commands?$/.test(name));
    assert.equal(adders.length, 1, `${file} adds its commands with one function`);
    for (const [, add] of adders) if (typeof add === 'function') add(program);
  }
  return program;
}

function leaves(command: Command, words: readonly string[] = []): { words: string; command: Command }[] {
  if (command.commands.length === 0) return [{ words: words.join(' '), command }];
  return command.commands.flatMap((each) => leaves(each, [...words, each.name()]));
}

function helpOf(command: Command): string {
  const said: string[] = [];
  command.configureOutput({ writeOut: (text) => void said.push(text) });
  command.outputHelp();
  return said.join('');
}

test('every command has a description and an example of itself, and describes what it takes', async () => {
  const all = leaves(await wholeProgram());
  for (const { words, command } of all) {
    const help = helpOf(command);
    assert.ok(command.description().length > 10, words);
    assert.match(help, new RegExp(`\\nExamples?:\\n[\\s\\S]*\\bsealpost ${words}`), words);
    for (const { flags, description } of command.options) assert.ok(description.length > 5, `${words} ${flags}`);
  }
  const known = all.map(({ words }) => words);
  const stable = [
    'up',
    'identity add',
    'import',
    'trust add',
    'queue release',
    'explain',
    'config check',
    'smime open',
  ];
  assert.deepEqual(
    stable.filter((words) => !known.includes(words)),
    [],
  );
});
