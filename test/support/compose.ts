import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { packageRoot } from '../../src/package-root.js';

/** What of a service is used here, and nothing else: a key that is misspelt is refused. */
const Service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.literal('.'), target: z.string() }).optional(),
  profiles: z.array(z.string()).optional(),
  init: z.boolean().optional(),
  restart: z.string(),
  stop_grace_period: z.string().optional(),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  ports: z.array(z.string()).optional(),
  cap_add: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  healthcheck: z
    .strictObject({
      test: z.array(z.string()),
      interval: z.string(),
      timeout: z.string(),
      retries: z.number(),
      start_period: z.string(),
    })
    .optional(),
  depends_on: z
    .record(
      z.string(),
      z.strictObject({ condition: z.enum(['service_healthy', 'service_completed_successfully']) }),
    )
    .optional(),
  deploy: z
    .strictObject({
      replicas: z.number().optional(),
      resources: z
        .strictObject({
          reservations: z.strictObject({
            devices: z.array(
              z.strictObject({
                driver: z.string(),
                device_ids: z.array(z.string()),
                capabilities: z.array(z.string()),
              }),
            ),
          }),
        })
        .optional(),
    })
    .optional(),
});

const Compose = z.looseObject({
  services: z.record(z.string(), Service),
  volumes: z.record(z.string(), z.null()),
});

/** A text of it with the defaults of its variables in their places. */
export const withDefaults = (text: string): string => text.replace(/\$\{(\w+):-([^}]*)\}/g, '$2');

export const COMPOSE_TEXT = readFileSync(join(packageRoot(), 'docker-compose.yml'), 'utf8');

export const COMPOSE = Compose.parse(parse(COMPOSE_TEXT, { merge: true }));
