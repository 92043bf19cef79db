/** Failures of requests to the datastore. This file imports no transport, so that code that reads codes stays pure. */
import { CodedError } from '../lib/errors.ts';

export type DatastoreErrorCode =
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'CONFLICT'
  | 'INVALID'
  | 'EXPIRED'
  | 'FORBIDDEN'
  | 'UNAVAILABLE';

/** A refused or failed request. The message is the server's, if it sent one. */
export class DatastoreError extends CodedError<DatastoreErrorCode> {}
