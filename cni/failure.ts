/** Codes of the CNI specification for the errors of other folders. */
import { DatastoreError } from '../datastore/errors.ts';
import { IpamError } from '../ipam/address-source.ts';
import { messageOf } from '../lib/errors.ts';
import { CniCode, CniError } from './types.ts';

/** Returns the error result for any error. The runtime retries when the code is TRY_AGAIN_LATER. */
export function cniErrorOf(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof IpamError) return new CniError(CniCode.ADDRESS_UNAVAILABLE, error.message);
  if (error instanceof DatastoreError) {
    const isTemporary = error.code === 'UNAVAILABLE' || error.code === 'CONFLICT';
    return new CniError(
      isTemporary ? CniCode.TRY_AGAIN_LATER : CniCode.IO_FAILURE,
      `datastore: ${error.message}`,
    );
  }
  return new CniError(CniCode.NETWORK_SETUP, messageOf(error));
}
