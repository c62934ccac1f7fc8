// What a stage seals its mail with: sessions of the spool (core/spool-session.ts) that end by themselves. A sender can read what it sealed
// in a session that it still holds, so it holds one for a second, in which a busy stage has saved nearly every exchange of keys.

import type { KeyObject } from 'node:crypto';
import { newSpoolSession, type SpoolSession, type SpoolSessions } from '@sealpost/core';

const maxAgeMs = 1_000;
/** Far from the end of a session's numbers. */
const maxMessages = 65_536;

export function spoolSessions(): SpoolSessions {
  const sessions = new Map<KeyObject, SpoolSession>();
  return {
    of(recipient) {
      const known = sessions.get(recipient);
      if (known && known.count < maxMessages) return known;
      const session = newSpoolSession(recipient);
      sessions.set(recipient, session);
      setTimeout(() => {
        if (sessions.get(recipient) === session) sessions.delete(recipient);
      }, maxAgeMs).unref();
      return session;
    },
  };
}
