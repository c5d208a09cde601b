import { DocumentReader } from '../folder/index.ts';

/** What a cluster says of itself when it speaks to another. */
export interface Introduction {
  readonly name: string;
  readonly id: number;
  readonly maxConnectedClusters: number;
  readonly endpoints: readonly string[];
  readonly enrolment?: string | undefined;
  /** Its authorities, PEM. */
  readonly authorities: string;
}

/** `POST /v1/enrol`: whoever was invited comes for the first time. */
export interface EnrolRequest {
  readonly invitation: string;
  readonly token: string;
  readonly cluster: Introduction;
  /** For the certificate that it wants (PKCS #10, PEM). */
  readonly request: string;
  /** The certificate that the inviting cluster has asked for in its bundle. */
  readonly certificate: string;
}

/** The answer to both. */
export interface ExchangeAnswer {
  readonly cluster: Introduction;
  /** What was asked for. */
  readonly certificate?: string | undefined;
  /** What the answering cluster would like to have signed; it is brought by the next exchange. */
  readonly request?: string | undefined;
}

/** `POST /v1/exchange`: a peer, known by its certificate, tells its news and asks for ours. */
export interface ExchangeRequest {
  readonly cluster: Introduction;
  /** Fingerprints of those of the other's authorities that it trusts. */
  readonly trusts: readonly string[];
  readonly request?: string | undefined;
  /** What the other one asked for before. */
  readonly certificate?: string | undefined;
}

/** @throws {PeerDocumentError} */
export function readIntroduction(reader: DocumentReader): Introduction {
  const introduction = {
    name: reader.clusterName('name'),
    id: reader.whole('id', 1, 511),
    maxConnectedClusters: reader.whole('maxConnectedClusters', 255, 511),
    endpoints: reader.endpoints('endpoints', { min: 0 }),
    enrolment: reader.optionalEndpoint('enrolment'),
    authorities: reader.authorities('authorities'),
  };
  return introduction;
}

/** @throws {PeerDocumentError} */
export function readEnrolRequest(body: unknown): EnrolRequest {
  const reader = new DocumentReader('Enrolment', body);
  return {
    invitation: reader.text('invitation'),
    token: reader.text('token'),
    cluster: readIntroduction(reader.object('cluster')),
    request: reader.text('request'),
    certificate: reader.text('certificate'),
  };
}

/** @throws {PeerDocumentError} */
export function readExchangeRequest(body: unknown): ExchangeRequest {
  const reader = new DocumentReader('Exchange', body);
  return {
    cluster: readIntroduction(reader.object('cluster')),
    trusts: reader.texts('trusts'),
    request: reader.optionalText('request'),
    certificate: reader.optionalText('certificate'),
  };
}

/** @throws {PeerDocumentError} */
export function readAnswer(body: unknown): ExchangeAnswer {
  const reader = new DocumentReader('Answer', body);
  return {
    cluster: readIntroduction(reader.object('cluster')),
    certificate: reader.optionalText('certificate'),
    request: reader.optionalText('request'),
  };
}
