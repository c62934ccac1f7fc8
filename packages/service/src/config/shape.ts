// Looks into a schema: what it wraps, which keys it has at a path. For suggestions and for the reference page.

import type * as z from 'zod';

export type Schema = z.core.$ZodType;

/** The schema below defaults, options and conversions: what is written in the file. */
export function inner(schema: Schema): Schema {
  const { def } = schema._zod as z.core.$ZodTypes['_zod'];
  switch (def.type) {
    case 'default':
    case 'prefault':
    case 'optional':
    case 'nullable':
    case 'readonly':
    case 'nonoptional':
      return inner(def.innerType);
    case 'pipe':
      return inner(def.in);
    default:
      return schema;
  }
}

/** The keys of an object schema, else undefined. A choice between objects has the keys of all. */
export function shapeOf(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  const { def } = inner(schema)._zod as z.core.$ZodTypes['_zod'];
  if (def.type === 'object') return def.shape;
  if (def.type === 'union') {
    const shapes = def.options.map(shapeOf).filter((shape) => shape !== undefined);
    return shapes.length > 0 ? Object.assign({}, ...shapes) : undefined;
  }
  return undefined;
}

/** The schema of each item of an array, or of each value of a record. */
export function itemOf(schema: Schema): Schema | undefined {
  const { def } = inner(schema)._zod as z.core.$ZodTypes['_zod'];
  if (def.type === 'array') return def.element;
  if (def.type === 'record') return def.valueType;
  return undefined;
}

/** The schema at a path of keys and indices. */
export function schemaAt(schema: Schema, path: readonly PropertyKey[]): Schema | undefined {
  return path.reduce<Schema | undefined>((at, key) => at && (itemOf(at) ?? shapeOf(at)?.[String(key)]), schema);
}
