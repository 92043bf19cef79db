import { describe, expect, it } from 'vitest';
import { cniErrorOf } from '../../../cni/failure.ts';
import { CniCode, CniError } from '../../../cni/types.ts';
import { DatastoreError } from '../../../datastore/errors.ts';
import { IpamError } from '../../../ipam/address-source.ts';

describe('the error result of a CNI call', () => {
  it('is the error itself when a command chose the code', () => {
    const error = new CniError(CniCode.CHECK_FAILED, 'no route');
    expect(cniErrorOf(error)).toBe(error);
  });

  it('lets the runtime retry after a temporary failure only', () => {
    const code = (error: unknown) => cniErrorOf(error).cniCode;
    expect(code(new DatastoreError('UNAVAILABLE', 'x'))).toBe(CniCode.TRY_AGAIN_LATER);
    expect(code(new DatastoreError('CONFLICT', 'x'))).toBe(CniCode.TRY_AGAIN_LATER);
    expect(code(new DatastoreError('FORBIDDEN', 'x'))).toBe(CniCode.IO_FAILURE);
    expect(code(new IpamError('EXHAUSTED', 'x'))).toBe(CniCode.ADDRESS_UNAVAILABLE);
    expect(code(new Error('x'))).toBe(CniCode.NETWORK_SETUP);
  });

  it('says that the datastore refused', () => {
    expect(cniErrorOf(new DatastoreError('FORBIDDEN', 'no right to patch pods')).message).toBe(
      'datastore: no right to patch pods',
    );
    expect(cniErrorOf('a text').message).toBe('a text');
  });
});
