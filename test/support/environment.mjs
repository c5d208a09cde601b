import { types } from 'node:util';
import { TestEnvironment } from 'jest-environment-node';

/**
 * jest runs every test file in a context of its own, whose `Error` is another one than that of Node's own modules: what
 * the file system throws would be no `instanceof Error` there, though it is when the program runs. Here it is.
 */
export default class Environment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    const { Error: Own } = this.global;
    const ordinary = Function.prototype[Symbol.hasInstance];
    Object.defineProperty(Own, Symbol.hasInstance, {
      configurable: true,
      // Subclasses inherit this function and keep the ordinary answer.
      value(value) {
        return ordinary.call(this, value) || (this === Own && types.isNativeError(value));
      },
    });
  }
}
