/** How a request to the datastore fails. No transport in here: what only reads the code stays pure. */
import { CodedError } from '../lib/errors.ts';

export type DatastoreErrorCode =
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'CONFLICT'
  | 'INVALID'
  | 'EXPIRED'
  | 'FORBIDDEN'
  | 'UNAVAILABLE';

/** A refused or failed request; the message is the server's own sentence where it gave one. */
export class DatastoreError extends CodedError<DatastoreErrorCode> {}
