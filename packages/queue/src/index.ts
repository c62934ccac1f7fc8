// Everything that other rooms may use of the queue, one by one.

export { fileBlobs } from './blobs/file-blobs.ts';
export { memoryBlobs } from './blobs/memory-blobs.ts';
export { type BlobSettings, openBlobs } from './blobs/open-blobs.ts';
export { redisBlobs } from './blobs/redis-blobs.ts';
export type { SpoolBlobs } from './blobs/spool-blobs.ts';
export { tieredBlobs } from './blobs/tiered-blobs.ts';
export type { RedisRisk } from './check-redis.ts';
export { connectRedis, type RedisLink, type RedisSettings } from './connect-redis.ts';
export type { ConsumeOptions, QueueSettings, StageTiming, TryTimes } from './consume-options.ts';
export { type Ledger, type MissingJob, redisLedger } from './ledger.ts';
export { memoryMarks, redisMarks } from './marks.ts';
export { redisQuarantine } from './quarantine.ts';
export { type DefaultUser, redisDefaultUser } from './redis-default-user.ts';
export { type RedisState, redisState } from './redis-state.ts';
export type { QuarantineLimits } from './set-aside.ts';
export { namedSpoolKeys, type SpoolKeys } from './spool-keys.ts';
export { cryptoStage, deliveryStage, type Stage } from './stage.ts';
