import type { LookupFunction } from 'node:net';

/** A host name that a test gives to one address after the other, and to none in between. */
export class MovingName {
  readonly name: string;
  /** The IPv4 address that it has now; none: the name is not known. */
  address: string | undefined;

  constructor(name: string, address: string) {
    this.name = name;
    this.address = address;
  }

  readonly lookup: LookupFunction = (host, options, callback) => {
    if (this.address === undefined || host !== this.name)
      callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), '', 0);
    else if (options.all === true) callback(null, [{ address: this.address, family: 4 }]);
    else callback(null, this.address, 4);
  };
}

/** A flawed client's lookup: it keeps to what it found first. */
export function keepingTheFirst(lookup: LookupFunction): LookupFunction {
  let first: Parameters<Parameters<LookupFunction>[2]> | undefined;
  return (host, options, callback) => {
    if (first) callback(...first);
    else
      lookup(host, options, (...found) => {
        first = found;
        callback(...found);
      });
  };
}
