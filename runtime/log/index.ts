export {
  type LogFields,
  type LogFormat,
  type LogLevel,
  type Logger,
  type LoggerOptions,
  createLogger,
  silentLogger,
} from './logger.ts';
export { fields } from './fields.ts';
export { redact } from './redact.ts';
