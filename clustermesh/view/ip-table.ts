import { type IndexedRows, RowIndex, roomFor, widened } from '../../kvstore/index.ts';
import { type Prefix, ipToBytes, ipv4HostNumber, numberToIpv4, parsePrefix } from '../../values/ip/index.ts';
import type { AddressRules } from '../acceptance/index.ts';
import { IpScanner } from '../wire/ip-scanner.ts';
import { decodeIp, encodeIp } from '../wire/ip.ts';
import type { IpRecord } from '../wire/records.ts';
import { AddressLog } from './address-log.ts';
import { ClusterClaims } from './cluster-claims.ts';
import { hashOfHost } from './host-hash.ts';
import { beaten, cidr, raw, used, wide } from './ip-row-bits.ts';
import type { IpRow, RefusedIp } from './mesh-view.ts';
import type { Origin, Sourced } from './origin.ts';
import { RestPool } from './rest-pool.ts';
import { SitePool } from './site-pool.ts';
import type { VersionSource } from './version-source.ts';
import { WideAddresses } from './wide-addresses.ts';

const none = 0xffff_ffff;

/**
 * The addresses of the mesh as columns: a row a claim, some thirty bytes, and no object. A prefix may be claimed by several
 * clusters; one claim wins (see `MeshView`) and is in the index, the others wait beside it, which is rare.
 *
 * What rows have in common lies once in two pools: `site` (cluster, host, key, node part of the metadata) and `rest`
 * (namespace, workload, account, ports). What is left of a pod's name and of its metadata are two numbers. Records are put
 * together again when somebody asks for one.
 */
export class IpTable implements IndexedRows {
  readonly #versions: VersionSource;
  readonly #log: AddressLog;
  readonly #index = new RowIndex(this);
  readonly #sites = new SitePool();
  readonly #rests = new RestPool();
  readonly #ownCluster: string;
  readonly #claims = new ClusterClaims();
  /** Beaten claims by the row that won, the latest last. */
  readonly #beaten = new Map<number, number[]>();
  readonly #scanner = new IpScanner();
  #address = new Uint32Array(0);
  #identity = new Uint32Array(0);
  #site = new Uint32Array(0);
  #rest = new Uint32Array(0);
  #suffix = new Uint32Array(0);
  #number = new Uint16Array(0);
  #kind = new Uint8Array(0);
  #generation = new Uint8Array(0);
  #rows = 0;
  #freeRow = none;
  readonly #wide = new WideAddresses();
  // What is sought: an IPv4 host, or what `#wide` seeks.
  #soughtWide = false;
  #soughtAddress = 0;
  #soughtHash = 0;

  constructor(ownCluster: string, versions: VersionSource, logCapacity: number) {
    this.#ownCluster = ownCluster;
    this.#versions = versions;
    this.#log = new AddressLog(logCapacity);
  }

  /** Prefixes that somebody claims. */
  get size(): number {
    return this.#index.size;
  }

  /** The number by which a cluster's claims are told apart here. */
  scopeOf(origin: Origin): number {
    return this.#claims.scopeOf(origin);
  }

  /** How many claims a cluster has. */
  claims(scope: number): number {
    return this.#claims.at(scope).rows;
  }

  since(version: number): ReadonlySet<string> | undefined {
    return this.#log.since(version);
  }

  /**
   * What a cluster says of an address; the scanner has just read the head of the value in `bytes`. `identity` takes the
   * place of the scanner's. False, and nothing done, when the rest of the value is not in the form that it knows.
   */
  upsertScanned(scope: number, scanner: IpScanner, bytes: Uint8Array, identity: number): boolean {
    const rest = this.#rests.scan(scanner, bytes, identity);
    if (rest < 0) return false;
    this.#seekScanned(scanner);
    this.#upsertDetails(scope, scanner, bytes, identity, rest, 0);
    return true;
  }

  /** Saying the same again changes nothing, not even who said it last: a relisting must not move an address. */
  upsert(scope: number, record: IpRecord): void {
    const text = encodeIp(record);
    const details = text.slice(text.indexOf(',"Metadata":'));
    const host = Buffer.from(record.hostIp);
    const bytes = Buffer.concat([host, Buffer.from(details)]);
    const scanner = this.#scanner;
    scanner.hostStart = 0;
    scanner.hostEnd = host.length;
    scanner.encryptKey = record.encryptKey;
    // It is not told that the host is another one.
    scanner.site += 1;
    let kind = record.cidr ? cidr : 0;
    if (!scanner.scanMetadata(bytes, host.length, bytes.length) || !scanner.scanRest(bytes)) {
      kind |= raw;
      scanner.metadataStart = scanner.metadataEnd = scanner.restStart = host.length;
      scanner.metadataNumber = scanner.suffix = 0;
      scanner.restEnd = scanner.cutStart = scanner.cutEnd = bytes.length;
    }
    const rest = this.#rests.acquire(scanner, bytes);
    this.#seek(record.prefix);
    this.#upsertDetails(scope, scanner, bytes, record.identity, rest, kind);
  }

  /** Whether a cluster claims a prefix. */
  claimed(scope: number, prefix: string): boolean {
    return this.#claimOf(this.#find(prefix), scope) >= 0;
  }

  /** Notes that the present listing of a cluster has seen a prefix. False when the cluster does not claim it. */
  see(scope: number, prefix: string): boolean {
    const row = this.#claimOf(this.#find(prefix), scope);
    if (row < 0) return false;
    this.#see(row, scope);
    return true;
  }

  remove(scope: number, prefix: string): boolean {
    this.#seek(parsePrefix(prefix));
    return this.#removeSought(scope);
  }

  /** By the bytes of an address in canonical text. */
  removeAddress(scope: number, bytes: Uint8Array, start: number, end: number): boolean {
    const scanner = this.#scanner;
    if (!scanner.scanAddress(bytes, start, end)) return false;
    this.#seekScanned(scanner);
    return this.#removeSought(scope);
  }

  /** From now on claims of the cluster that are not made again are stale. */
  startListing(scope: number): void {
    const claims = this.#claims.at(scope);
    claims.seen = 0;
    claims.generation += 1;
    if (claims.generation < 256) return;
    // The column has eight bits: everything becomes the oldest generation, once in 255 listings.
    for (const row of this.#rowsOf(scope)) this.#generation[row] = 0;
    claims.generation = 1;
  }

  /** Removes what the present listing has not seen. Returns how many. O(table) when there is anything, else O(1). */
  sweep(scope: number): number {
    const claims = this.#claims.at(scope);
    return claims.seen === claims.rows ? 0 : this.#removeWhere(scope, claims.generation);
  }

  /** Removes all claims of a cluster. O(table). */
  drain(scope: number): number {
    return this.#removeWhere(scope, none);
  }

  get(prefix: string): Sourced<IpRecord> | undefined {
    const row = this.#find(prefix);
    return row < 0 ? undefined : this.#sourced(row);
  }

  row(prefix: string): IpRow | undefined {
    const row = this.#find(prefix);
    return row < 0 ? undefined : this.#rowAt(row);
  }

  /** The winners. What changes meanwhile may or may not come. */
  *rowsInUse(): Generator<IpRow, void, void> {
    for (let row = 0; row < this.#rows; row++) if (this.#wins(row)) yield this.#rowAt(row);
  }

  *records(): Generator<Sourced<IpRecord>, void, void> {
    for (let row = 0; row < this.#rows; row++) if (this.#wins(row)) yield this.#sourced(row);
  }

  *prefixes(): Generator<string, void, void> {
    for (let row = 0; row < this.#rows; row++) if (this.#wins(row)) yield this.#prefixText(row);
  }

  /** What a cluster says, whether it wins or not. */
  *saidBy(cluster: string): Generator<IpRecord, void, void> {
    for (const scope of this.#claims.scopesOf(cluster)) for (const row of this.#rowsOf(scope)) yield this.#record(row);
  }

  /** What a cluster claims against the rules. Each host is asked for once. */
  *refused(scope: number, rules: AddressRules): Generator<RefusedIp, void, void> {
    const hosts = new Map<number, ReturnType<AddressRules['hostProblem']>>();
    for (const row of this.#rowsOf(scope)) {
      const site = this.#site[row] as number;
      if (!hosts.has(site)) hosts.set(site, rules.hostProblem(this.#sites.host(site)));
      const host = ((this.#kind[row] as number) & wide) === 0;
      const address = host ? rules.problem4(this.#address[row] as number) : rules.problem(this.#rowAt(row).prefix);
      const problem = address ?? hosts.get(site);
      if (problem) yield { prefix: this.#prefixText(row), problem };
    }
  }

  hashOf(row: number): number {
    const address = this.#address[row] as number;
    if (((this.#kind[row] as number) & wide) === 0) return hashOfHost(address);
    return this.#wide.hashOf(address);
  }

  isSought(row: number): boolean {
    const address = this.#address[row] as number;
    if (((this.#kind[row] as number) & wide) === 0) return !this.#soughtWide && address === this.#soughtAddress;
    return this.#soughtWide && this.#wide.isSought(address);
  }

  #upsertDetails(
    scope: number,
    scanner: IpScanner,
    bytes: Uint8Array,
    identity: number,
    rest: number,
    kind: number,
  ): void {
    const site = this.#sites.acquire(scope, scanner, bytes);
    const winner = this.#index.find(this.#soughtHash);
    const claim = this.#claimOf(winner, scope);
    if (
      claim >= 0 &&
      this.#identity[claim] === identity &&
      this.#site[claim] === site &&
      this.#rest[claim] === rest &&
      this.#suffix[claim] === scanner.suffix &&
      this.#number[claim] === scanner.metadataNumber &&
      ((this.#kind[claim] as number) & (cidr | raw)) === kind
    ) {
      this.#sites.release(site);
      this.#rests.release(rest);
      this.#see(claim, scope);
      return;
    }
    let row = claim;
    if (row < 0) row = this.#addRow(scope);
    else this.#release(row);
    this.#identity[row] = identity;
    this.#site[row] = site;
    this.#rest[row] = rest;
    this.#suffix[row] = scanner.suffix;
    this.#number[row] = scanner.metadataNumber;
    this.#kind[row] = ((this.#kind[row] as number) & (used | wide | beaten)) | kind;
    this.#see(row, scope);
    if (winner < 0) {
      this.#index.add(row, this.#soughtHash);
      this.#changed(row);
    } else if (row === winner) this.#changed(row);
    else this.#contend(row, winner, claim >= 0);
  }

  /** A claim was made or renewed while another one wins: the own cluster's beats any other, else the later one wins. */
  #contend(row: number, winner: number, waited: boolean): void {
    const waiting = this.#beaten.get(winner) ?? [];
    const others = waited ? waiting.filter((other) => other !== row) : waiting;
    if (this.#isOwn(winner) && !this.#isOwn(row)) {
      others.push(row);
      this.#setBeaten(winner, others);
      this.#kind[row] = (this.#kind[row] as number) | beaten;
      return;
    }
    this.#beaten.delete(winner);
    others.push(winner);
    this.#kind[winner] = (this.#kind[winner] as number) | beaten;
    this.#setWinner(row, winner, others);
  }

  #setWinner(row: number, before: number, waiting: number[]): void {
    this.#kind[row] = (this.#kind[row] as number) & ~beaten;
    this.#index.replace(before, row, this.hashOf(before));
    this.#setBeaten(row, waiting);
    this.#changed(row);
  }

  #setBeaten(winner: number, waiting: number[]): void {
    if (waiting.length === 0) this.#beaten.delete(winner);
    else this.#beaten.set(winner, waiting);
  }

  #removeSought(scope: number): boolean {
    const winner = this.#index.find(this.#soughtHash);
    const row = this.#claimOf(winner, scope);
    if (row < 0) return false;
    this.#removeRow(row, winner);
    return true;
  }

  #removeRow(row: number, winner: number): void {
    const waiting = (this.#beaten.get(winner) ?? []).filter((other) => other !== row);
    // Of those that wait, in their order: the latest of the own cluster's claims, else the latest of all.
    const heir = waiting.findLast((other) => this.#isOwn(other)) ?? waiting.at(-1);
    if (row !== winner) this.#setBeaten(winner, waiting);
    else if (heir === undefined) {
      this.#changed(row);
      this.#index.remove(row, this.hashOf(row));
    } else {
      this.#beaten.delete(winner);
      const others = waiting.filter((other) => other !== heir);
      this.#setWinner(heir, row, others);
    }
    this.#freeRowOf(row);
  }

  /** `generation` stays; `none` stands for no generation at all. */
  #removeWhere(scope: number, generation: number): number {
    let removed = 0;
    for (const row of this.#rowsOf(scope)) {
      if (this.#generation[row] === generation) continue;
      this.#seekRow(row);
      this.#removeRow(row, this.#index.find(this.#soughtHash));
      removed += 1;
    }
    return removed;
  }

  *#rowsOf(scope: number): Generator<number, void, void> {
    for (let row = 0; row < this.#rows; row++)
      if (((this.#kind[row] as number) & used) !== 0 && this.#scopeAt(row) === scope) yield row;
  }

  #claimOf(winner: number, scope: number): number {
    if (winner < 0 || this.#scopeAt(winner) === scope) return winner;
    if (this.#beaten.size === 0) return -1;
    return this.#beaten.get(winner)?.find((row) => this.#scopeAt(row) === scope) ?? -1;
  }

  #see(row: number, scope: number): void {
    const claims = this.#claims.at(scope);
    if (this.#generation[row] === claims.generation) return;
    this.#generation[row] = claims.generation;
    claims.seen += 1;
  }

  #addRow(scope: number): number {
    let row = this.#freeRow;
    if (row === none) {
      row = this.#rows++;
      if (row >= this.#address.length) this.#widen(roomFor(row + 1));
    } else this.#freeRow = this.#address[row] as number;
    const claims = this.#claims.at(scope);
    claims.rows += 1;
    // Not yet seen: any other generation.
    this.#generation[row] = claims.generation === 0 ? 255 : claims.generation - 1;
    this.#kind[row] = used;
    this.#address[row] = this.#soughtAddress;
    if (this.#soughtWide) {
      this.#address[row] = this.#wide.add();
      this.#kind[row] = used | wide;
    }
    return row;
  }

  #freeRowOf(row: number): void {
    const claims = this.#claims.at(this.#scopeAt(row));
    claims.rows -= 1;
    if (this.#generation[row] === claims.generation) claims.seen -= 1;
    this.#release(row);
    if (((this.#kind[row] as number) & wide) !== 0) this.#wide.free(this.#address[row] as number);
    this.#kind[row] = 0;
    this.#address[row] = this.#freeRow;
    this.#freeRow = row;
  }

  #release(row: number): void {
    this.#sites.release(this.#site[row] as number);
    this.#rests.release(this.#rest[row] as number);
  }

  #widen(rows: number): void {
    this.#address = widened(this.#address, rows);
    this.#identity = widened(this.#identity, rows);
    this.#site = widened(this.#site, rows);
    this.#rest = widened(this.#rest, rows);
    this.#suffix = widened(this.#suffix, rows);
    this.#number = widened(this.#number, rows);
    this.#kind = widened(this.#kind, rows);
    this.#generation = widened(this.#generation, rows);
  }

  #changed(row: number): void {
    const version = this.#versions.next();
    const address = this.#address[row] as number;
    if (((this.#kind[row] as number) & wide) === 0) {
      this.#log.recordHost(version, address);
      return;
    }
    this.#log.recordWide(version, this.#wide.words, address * 5);
  }

  #find(prefix: string): number {
    const host = ipv4HostNumber(prefix);
    if (host >= 0) this.#seekHost(host);
    else this.#seek(parsePrefix(prefix));
    return this.#index.find(this.#soughtHash);
  }

  #seek({ address, length, family }: Prefix): void {
    const bytes = ipToBytes(address);
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    if (family === 6) this.#seekWide(this.#wide.seek6(bytes, length));
    else if (length < 32) this.#seekWide(this.#wide.seek4(number, length));
    else this.#seekHost(number);
  }

  #seekScanned(scanner: IpScanner): void {
    if (scanner.wide) this.#seekWide(this.#wide.seek6(scanner.wide, 128));
    else this.#seekHost(scanner.address);
  }

  #seekHost(address: number): void {
    this.#soughtWide = false;
    this.#soughtAddress = address;
    this.#soughtHash = hashOfHost(address);
  }

  #seekRow(row: number): void {
    const address = this.#address[row] as number;
    if (((this.#kind[row] as number) & wide) === 0) this.#seekHost(address);
    else this.#seekWide(this.#wide.seek(address));
  }

  #seekWide(hash: number): void {
    this.#soughtWide = true;
    this.#soughtHash = hash;
  }

  #wins(row: number): boolean {
    return ((this.#kind[row] as number) & (used | beaten)) === used;
  }

  #isOwn(row: number): boolean {
    return this.#originAt(row).cluster === this.#ownCluster;
  }

  #scopeAt(row: number): number {
    return this.#sites.scopeOf(this.#site[row] as number);
  }

  #originAt(row: number): Origin {
    return this.#claims.at(this.#scopeAt(row)).origin;
  }

  #addressText(row: number): string {
    const address = this.#address[row] as number;
    if (((this.#kind[row] as number) & wide) === 0) return numberToIpv4(address);
    return this.#wide.textOf(address);
  }

  /** The length of the row's prefix, +256 for IPv6. */
  #lengthAt(row: number): number {
    if (((this.#kind[row] as number) & wide) === 0) return 32;
    return this.#wide.lengthOf(this.#address[row] as number);
  }

  #prefixText(row: number): string {
    return `${this.#addressText(row)}/${this.#lengthAt(row) & 255}`;
  }

  #rowAt(row: number): IpRow {
    const length = this.#lengthAt(row);
    const site = this.#site[row] as number;
    return {
      prefix: { address: this.#addressText(row), length: length & 255, family: length < 256 ? 4 : 6 },
      hostIp: this.#sites.host(site),
      identity: this.#identity[row] as number,
      encryptKey: this.#sites.encryptKey(site),
      origin: this.#originAt(row),
    };
  }

  #sourced(row: number): Sourced<IpRecord> {
    return { record: this.#record(row), origin: this.#originAt(row) };
  }

  #record(row: number): IpRecord {
    const { prefix, hostIp, identity, encryptKey } = this.#rowAt(row);
    const isCidr = ((this.#kind[row] as number) & cidr) !== 0;
    const details = decodeIp('0.0.0.0', `{"IP":"0.0.0.0"${this.#detailsText(row)}`);
    return { ...details, prefix, cidr: isCidr, hostIp, identity, encryptKey };
  }

  /** From `,"Metadata"` to the end of the value, as it was written. */
  #detailsText(row: number): string {
    const rest = this.#rests.text(this.#rest[row] as number, this.#suffix[row] as number);
    if (((this.#kind[row] as number) & raw) !== 0) return rest;
    const metadata = this.#sites.metadata(this.#site[row] as number);
    const number = this.#number[row] === 0 ? '' : String(this.#number[row]);
    return `,"Metadata":"${metadata}${number}"${rest}`;
  }
}
