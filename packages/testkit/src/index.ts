// What tests of all rooms build on, one by one.

export { type ManualClock, manualClock } from './clock.ts';
export { type CutRule, type FlakyProxy, type ProxyMode, startFlakyProxy } from './flaky-proxy.ts';
export { freePort } from './free-port.ts';
export { type KeyServiceSubject, keyServiceContract } from './key-service-contract.ts';
export {
  type Authority,
  type IdentityOptions,
  type IdentityRecords,
  type MemoryKeyService,
  memoryKeyService,
} from './memory-key-service.ts';
export { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './otlp-receiver.ts';
export { hasPrometheus, type Prometheus, startPrometheus } from './prometheus.ts';
export { type RedisOptions, type RedisServer, startRedis } from './redis-server.ts';
export {
  type SinkMoment,
  type SinkOptions,
  type SinkRecipient,
  type SinkReply,
  type SinkStage,
  type SinkTransaction,
  type SmtpSink,
  startSmtpSink,
  usualExtensions,
} from './smtp-sink.ts';
export { connectSmtp, type SmtpMail, type SmtpReplies, type SmtpReply, type SmtpSource } from './smtp-source.ts';
export { makeSoftHsm, type SoftHsm, softHsmModule } from './soft-hsm.ts';
export { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts';
export { makeTlsFiles, type TlsTestFiles, type TlsTestOptions } from './tls-files.ts';
