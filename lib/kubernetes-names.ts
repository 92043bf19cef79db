/** Names of Kubernetes objects (RFC 1123), checked in linear time. */

const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** A label of at most 63 characters, such as the name of a namespace. */
export function isLabelName(text: string): boolean {
  return text.length <= 63 && label.test(text);
}

/** Labels joined by dots, at most 253 characters: the name of a pod and of most objects. */
export function isObjectName(text: string): boolean {
  return text.length <= 253 && text.split('.').every((part) => isAtomName(part));
}

/** Unlike a label, a part of a name has no limit except that of the whole name. */
function isAtomName(text: string): boolean {
  return /^[-a-z0-9]+$/.test(text) && !text.startsWith('-') && !text.endsWith('-');
}

/** Key of a label: a name of at most 63 characters, behind a DNS subdomain and a slash where it has a prefix. */
export function isQualifiedName(text: string): boolean {
  const parts = text.split('/');
  const name = parts.pop() ?? '';
  if (parts.length > 1 || !parts.every(isObjectName)) return false;
  return name.length <= 63 && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(name);
}

/** Key of an annotation: the same, with a prefix in any case. */
export function isAnnotationKey(text: string): boolean {
  return isQualifiedName(text.toLowerCase());
}

/** Value of a label: empty, or at most 63 letters, digits, `-`, `_` and `.` between letters or digits. */
export function isLabelValue(text: string): boolean {
  return text.length <= 63 && /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/.test(text);
}
