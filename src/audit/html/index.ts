// An audit as one HTML file that needs nothing else: no network, no server, no framework. Everything is in it as markup,
// so that it can be read without scripts, searched by the browser and printed; the script filters and walks.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AuditReport, PageOf } from '../report.ts'
import { changesSection } from './changes.ts'
import { findingsSection, groupsOf } from './findings.ts'
import { hostsSection } from './hosts.ts'
import { html, Markup } from './markup.ts'
import { namespacesSection } from './namespaces.ts'
import { overview, verdictSentence } from './overview.ts'

/** Beside this file in src and, by `npm run build`, in dist. */
const asset = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

export function toHtml(report: AuditReport, pageOf: PageOf): string {
  const style = asset('report.css')
  const script = asset('report.js')
  const { source, profile, version, namespaces, hosts } = report
  const groups = groupsOf(report)
  const [verdict, ground] = verdictSentence(report)
  const sections: [id: string, title: string, hint: string, body: Markup][] = [
    ['namespaces', 'Namespaces', 'What is blocked comes first.', namespacesSection(namespaces)],
    ['findings', 'Findings', '', findingsSection(report, groups, pageOf)],
    [
      'changes',
      'Before and after',
      'What is rewritten, and the companions that are kept beside it.',
      changesSection(namespaces),
    ],
    ['hosts', 'Routes', 'The rules of each host in the order in which they are asked.', hostsSection(hosts)],
  ]
  return `<!doctype html>
${html`<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policyFor(style, script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="sidestep ${version}">
<meta name="referrer" content="no-referrer">
<title>${verdict} ${ground} sidestep audit</title>
<style>${new Markup(style)}</style>
<script>${new Markup(script)}</script>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>
<p class="brand">sidestep audit</p>
<nav aria-label="Sections"><a href="#overview">Overview</a>${sections.map(([id, title]) => html` <a href="#${id}">${title}</a>`)}</nav>
<button type="button" id="theme" hidden>Dark</button>
</header>
<main id="main" tabindex="-1">
<section id="overview" aria-labelledby="verdict">
<p class="source"><span class="of">${source}</span><span>profile ${profile}</span> <span>sidestep ${version}</span></p>
<h1 id="verdict"><span class="verdict ${report.verdict}">${verdict}</span> ${ground}</h1>
${overview(report, groups)}
</section>
${sections.map(
  ([id, title, hint, body]) => html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title" tabindex="-1">${title}</h2>
${hint !== '' && html`<p class="hint">${hint}</p>`}
${body}
</section>
`,
)}
</main>
<footer><p><kbd>/</kbd> searches the findings, <kbd>↑</kbd> <kbd>↓</kbd> walk through namespaces, codes and hosts, <kbd>Enter</kbd> opens one. Printed, it shows what the filter leaves.</p></footer>
</body>
</html>
`}`
}

/** Nothing is loaded, and no code runs but that of this file, whatever else may have found its way into the text. */
function policyFor(style: string, script: string): string {
  return [
    `default-src 'none'`,
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `require-trusted-types-for 'script'`,
  ].join('; ')
}

/** https://www.w3.org/TR/CSP3/#grammardef-hash-source: of what stands between the tags. */
function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
