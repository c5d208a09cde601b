import type { Store } from '../../../../kvstore/index.ts';

/** An implementation under test, opened empty: what whoever wants to run the suite has to give. */
export interface OpenedStore {
  readonly store: Store;
  /** A second client of the same data. */
  readonly another: () => Promise<Store>;
  /** Forgets what was before a revision; nothing where there is no history. */
  readonly compact: (revision: number) => Promise<unknown>;
  /** Ends a lease behind the back of its owner. */
  readonly revokeLease: (id: bigint) => Promise<unknown>;
  /** What can be done to the server behind the store. */
  readonly disturb?: Disturb;
  readonly dispose: () => Promise<void>;
}

/** Ways to disturb what is behind a store. Each settles when it serves again. What a harness leaves out is not tested. */
export interface Disturb {
  /** Ends the process (or engine) at once and starts it on the same data; gives the store to go on with. */
  readonly restart?: () => Promise<Store>;
  /** Ends the member that leads; settles when another one does. The answer brings the ended one back. */
  readonly killLeader?: () => Promise<() => Promise<void>>;
  /** One more client, whose connections can be broken. It gives up a call within a few seconds. */
  readonly breakable?: () => Promise<Breakable>;
  /** Another, empty store at the same address. */
  readonly wipe?: () => Promise<void>;
  /** Keeps a copy of everything; the answer puts it back in place of what is there then. */
  readonly backup?: () => Promise<() => Promise<void>>;
  /** A store of its own whose readers have rights. */
  readonly guarded?: () => Promise<Guarded>;
}

/** A client behind a network that does as it is told. */
export interface Breakable extends AsyncDisposable {
  readonly store: Store;
  /** Ends all connections; new ones can be made at once. */
  cut(): void;
  /** Ends the connection that next has brought this many bytes to the client. Works once. */
  cutAtByte(count: number): void;
  /** Ends all connections and takes no new ones until {@link mend}. */
  cutOff(): Promise<void>;
  /** Connections stay, and nothing passes any more until {@link mend}. */
  hang(): Promise<void>;
  mend(): Promise<void>;
}

/** A store with access control. */
export interface Guarded extends AsyncDisposable {
  /** May do everything. */
  readonly owner: Store;
  /** May read what begins with `open/`, write what begins with `open/rw/`, and nothing else. */
  readonly reader: Store;
  /** Has no right at all. */
  readonly stranger: Store;
  /** Takes all rights from the reader. */
  readonly revokeReader: () => Promise<void>;
}

/** What a harness can do to its store, said beforehand: `restart` to `backup` as in {@link Disturb}. */
export type Disturbance =
  | 'restart'
  /** The store goes on by itself across `restart`. */
  | 'resume'
  | 'breakable'
  | 'killLeader'
  | 'wipe'
  | 'backup'
  | 'guarded';

/** What a store may be unable to promise. Where it is, the suite tests what it does instead. */
export interface StorePromises {
  /** Older revisions can be read until they are compacted. */
  readonly history: boolean;
  /** Each write makes the next revision, and nothing else makes one. */
  readonly denseRevisions: boolean;
  /** Every change comes as an event; otherwise the last of each key does. */
  readonly everyEvent: boolean;
  /** Puts of a key are counted; otherwise version 2 stands for any number of puts after the first. */
  readonly countsVersions: boolean;
  /** Keys are bytes; otherwise they are printable UTF-8 without empty path elements. */
  readonly keysOfAnyBytes: boolean;
  /** A prefix is deleted in one revision, however many keys it has. */
  readonly prefixDeletedAtOnce: boolean;
  /** Largest value. */
  readonly maxValueBytes: number;
  /** A lease ends when its time has run out; otherwise within twice that time. */
  readonly endsOnTime: boolean;
  /** The store is in another process, so that what its client holds in memory can be measured. */
  readonly elsewhere: boolean;
}

/** What the contract asks for. */
export const allPromises: StorePromises = {
  history: true,
  denseRevisions: true,
  everyEvent: true,
  countsVersions: true,
  keysOfAnyBytes: true,
  prefixDeletedAtOnce: true,
  maxValueBytes: 1024 * 1024,
  endsOnTime: true,
  elsewhere: false,
};

export type OpenStore = () => Promise<OpenedStore>;
