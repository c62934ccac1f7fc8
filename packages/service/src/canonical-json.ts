// One JSON text for one value (RFC 8785): members in the order of their names, no white space. What is signed or hashed as JSON is
// written like this, so that two parties who hold the same value hold the same bytes.

/** Of a value of JSON; members that are undefined are left out, as JSON does. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  // Sorted by UTF-16 code units (§3.2.3), which is how strings compare here. Numbers and strings: JSON.stringify writes what §3.2.2 asks for.
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}
