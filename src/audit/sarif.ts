// SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/): findings as code hosts and editors show them, each rule with
// the page of its code.
import { catalogue, type DiagnosticCode, type Severity, sentenceOf } from '../translate/diagnostics.ts'
import type { AuditFinding, AuditReport, PageOf } from './report.ts'

const schema = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json'

const levels: Record<Severity, 'error' | 'warning' | 'note'> = { denial: 'error', warning: 'warning', note: 'note' }

/** @param pageOf the page of a code as Markdown, undefined where documentation is not installed */
export function toSarif({ version, unread = [], namespaces }: AuditReport, pageOf: PageOf): object {
  const findings = namespaces.flatMap(each => each.findings)
  const codes = [...new Set(findings.map(({ code }) => code))].sort()
  return {
    $schema: schema,
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: { name: 'sidestep', semanticVersion: version, rules: codes.map(code => ruleOf(code, pageOf(code))) },
        },
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: unread.map(({ resource, reason }) => ({
              level: 'warning',
              message: { text: `${resource} is not read: ${reason}` },
            })),
          },
        ],
        columnKind: 'utf16CodeUnits',
        results: findings.map(finding => resultOf(finding, codes)),
      },
    ],
  }
}

function ruleOf(code: DiagnosticCode, page: string | undefined): object {
  return {
    id: code,
    shortDescription: { text: sentenceOf(code) },
    help: { text: `sidestep explain ${code}`, ...(page !== undefined && { markdown: page }) },
    defaultConfiguration: { level: levels[catalogue[code].severity] },
  }
}

function resultOf({ code, severity, message, ...at }: AuditFinding, codes: DiagnosticCode[]): object {
  const { kind, namespace, name, field, file, line } = at
  const object = [kind, namespace, name].filter(Boolean).join('/')
  const artifactLocation = file === undefined ? undefined : { uri: uriOf(file) }
  const region = line === undefined ? {} : { region: { startLine: line } }
  return {
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: levels[severity],
    message: { text: `${object}${field ? ` ${field}` : ''}: ${message}` },
    locations: [
      {
        ...(artifactLocation ? { physicalLocation: { artifactLocation, ...region } } : {}),
        logicalLocations: [{ name, fullyQualifiedName: object, kind: 'resource' }],
      },
    ],
    // By this a finding is known again when lines above it have moved.
    partialFingerprints: { 'object/v1': `${code} ${object} ${field}` },
  }
}

/** A path as a relative or absolute URI; its slashes stay. */
function uriOf(file: string): string {
  const uri = file.split('/').map(encodeURIComponent).join('/')
  return uri.startsWith('/') ? `file://${uri}` : uri
}
