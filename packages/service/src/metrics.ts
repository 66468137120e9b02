import type { FastifyReply, FastifyRequest } from 'fastify'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface Metrics {
  contentType: string
  record(request: FastifyRequest, reply: FastifyReply): void
  /** Adds the results of the checks. They run whenever the metrics are read. */
  watchChecks(runChecks: () => Promise<Record<string, string>>): void
  render(): Promise<string>
}

/** A number that is measured whenever the metrics are read. */
export interface Measured {
  help: string
  labels: Record<string, string>
  /** Rejects while the number is unknown. Then the metrics are without it. */
  measure(): Promise<number>
}

/** The metrics of one service, in their own registry, with the names of OpenTelemetry's conventions. */
export function createMetrics(measured: Record<string, Measured> = {}): Metrics {
  const registry = new Registry()
  let hasProcessMetrics = false

  const duration = new Histogram({
    name: 'http_server_request_duration_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['http_request_method', 'http_route', 'http_response_status_code'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    registers: [registry],
  })

  for (const [name, { help, labels, measure }] of Object.entries(measured)) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: Object.keys(labels),
      registers: [registry],
      async collect() {
        gauge.reset()
        await measure().then(
          (value) => gauge.set(labels, value),
          () => {},
        )
      },
    })
  }

  return {
    contentType: registry.contentType,
    record(request, reply) {
      const labels = {
        http_request_method: request.method,
        // The pattern and not the path: each value of a label makes a series.
        http_route: request.routeOptions.url ?? '',
        http_response_status_code: reply.raw.statusCode,
      }
      duration.observe(labels, reply.elapsedTime / 1000)
    },
    watchChecks(runChecks) {
      const gauge: Gauge = new Gauge({
        name: 'nonstick_check_ok',
        help: 'Whether what the process needs can be used now: 1 when it can, 0 when not',
        labelNames: ['check'],
        registers: [registry],
        async collect() {
          for (const [check, result] of Object.entries(await runChecks()))
            gauge.set({ check }, result === 'ok' ? 1 : 0)
        },
      })
    },
    render() {
      // Started at the first read, because measuring the event loop wakes an idle process a hundred times a second.
      if (!hasProcessMetrics) collectDefaultMetrics({ register: registry })
      hasProcessMetrics = true
      return registry.metrics()
    },
  }
}
