// The name of the image, in one place. In the manifests it is a placeholder: `.invalid` names no host (RFC 2606), so a node
// without the image says so, and never pulls an image of somebody else.
import { readFileSync } from 'node:fs';
import path from 'node:path';

const { version } = JSON.parse(readFileSync(path.resolve(import.meta.dirname, '..', 'package.json'), 'utf8'));

export const PLACEHOLDER_REPOSITORY = 'set-your-registry.invalid/cali/node';
/** What stands in the manifests. */
export const PLACEHOLDER = `${PLACEHOLDER_REPOSITORY}:${version}`;
/** What stands for it here: CALI_IMAGE, or a name that is of this machine alone. */
export const IMAGE = process.env.CALI_IMAGE || `localhost/cali/node:${version}`;
