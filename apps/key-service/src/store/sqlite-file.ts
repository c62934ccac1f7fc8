// The SQLite file behind the store: tables, durability, migrations. WAL with synchronous FULL: a commit that was answered is on
// disk. One process at a time holds it, because two would write two audit chains.

import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SetupError } from '@sealpost/core';

export const databaseFile = 'store.sqlite';

/** Forward only; `user_version` counts what was applied. A step that is released is never edited. */
const migrations: readonly string[] = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE slots (kind TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE keks (use TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (use, version)) STRICT;
   CREATE TABLE records (
     kind TEXT NOT NULL, tenant TEXT NOT NULL, owner BLOB NOT NULL, id BLOB NOT NULL, sealed BLOB NOT NULL,
     PRIMARY KEY (kind, id)) STRICT;
   CREATE INDEX records_by_owner ON records (kind, tenant, owner);`,
  `CREATE TABLE slots_2 (
     id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, created TEXT, bytes BLOB NOT NULL) STRICT;
   INSERT INTO slots_2 (label, kind, bytes) SELECT kind, kind, bytes FROM slots ORDER BY kind;
   DROP TABLE slots;
   ALTER TABLE slots_2 RENAME TO slots;`,
  // Nothing but the version: one before this would change rows and not bring the state forward (state.ts).
  '',
];

export function storeExists(directory: string): boolean {
  return existsSync(join(directory, databaseFile));
}

/** Opens the store, making it when `create` says so. Throws SetupError. */
export function openSqliteFile(directory: string, create: boolean): DatabaseSync {
  if (!create && !storeExists(directory)) {
    throw new SetupError(`no key store in ${directory}: make one with \`init\``);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, databaseFile);
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    // Exclusive before WAL: the lock is taken with the first read and kept, and no shared-memory file is needed.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    // What is destroyed or wrapped anew is overwritten in the file, not only let go of.
    database.exec('PRAGMA secure_delete = ON;');
    migrate(database);
  } catch (error) {
    database.close();
    if (error instanceof SetupError) throw error;
    throw new SetupError(`the key store in ${directory} is held by another process or damaged`, { cause: error });
  }
  for (const name of [file, `${file}-wal`]) if (existsSync(name)) chmodSync(name, 0o600);
  return database;
}

function migrate(database: DatabaseSync): void {
  const applied = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (applied > migrations.length) throw new SetupError('the key store was written by a newer version of Sealpost');
  migrations.slice(applied).forEach((step, index) => {
    database.exec(`BEGIN EXCLUSIVE; ${step} PRAGMA user_version = ${applied + index + 1}; COMMIT;`);
  });
  // Takes the exclusive lock now and not with the first write.
  database.exec('BEGIN EXCLUSIVE; COMMIT;');
}
