// The image name, in one place. The manifests contain a placeholder in `.invalid`, where no host can exist (RFC 2606).
// So a node without the image reports an error, and never pulls an image of another owner.
import { readFileSync } from 'node:fs';
import path from 'node:path';

const { version } = JSON.parse(readFileSync(path.resolve(import.meta.dirname, '..', 'package.json'), 'utf8'));

export const PLACEHOLDER_REPOSITORY = 'set-your-registry.invalid/cali/node';
/** The image in the manifests. */
export const PLACEHOLDER = `${PLACEHOLDER_REPOSITORY}:${version}`;
/** The image that replaces it here: CALI_IMAGE, or a name that only this machine uses. */
export const IMAGE = process.env.CALI_IMAGE || `localhost/cali/node:${version}`;
