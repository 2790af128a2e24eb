// Where requests for each host go, before and after: a picture, and the same as tables.
import type { HostReport, RouteReport } from '../report.ts'
import { chunked, counted, html, type Markup } from './markup.ts'
import { linksOf, picturesOf } from './picture.ts'

export function hostsSection(hosts: readonly HostReport[]): Markup {
  if (hosts.length === 0) return html`<p>No host is routed by what was read.</p>`
  const changed = hosts.filter(host => isChanged(host))
  const sorted = [...changed, ...hosts.filter(host => !changed.includes(host))]
  return chunked(
    sorted.map((host, index) => hostOf(host, { isOpen: index === 0, isSame: index >= changed.length })),
    { noun: 'host', size: 40 },
  )
}

function isChanged(host: HostReport): boolean {
  return linksOf(host).some(({ before, after, fate }) => fate !== 'same' || before !== after)
}

function hostOf(host: HostReport, { isOpen, isSame }: { isOpen: boolean; isSame: boolean }): Markup {
  return html`<li><details class="group"${isOpen && html` open`}><summary data-walk><h3><code>${host.host}</code></h3>
<span class="count">${isSame ? `${counted(host.before.length, 'rule')}, as before` : `${counted(host.before.length, 'rule')} before, ${host.after.length} after`}</span></summary>
<div class="picture" tabindex="0" role="group" aria-label="Routes of ${host.host} before and after">${picturesOf(host)}</div>
<details class="rules"><summary>The rules as tables</summary><div class="tables">${tableOf('Before', host.before)}${tableOf('After', host.after)}</div></details>
</details></li>
`
}

function tableOf(caption: string, rules: readonly RouteReport[]): Markup {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="${caption}, as a table"><table><caption>${caption}</caption>
<thead><tr><th scope="col">#</th><th scope="col">Match</th><th scope="col">To</th><th scope="col">By</th></tr></thead>
<tbody>${rules.map(
    ({ match, to, object }, index) =>
      html`<tr><td>${index + 1}</td><td><code>${match}</code></td><td><code>${to}</code></td><td>${object}</td></tr>`,
  )}</tbody></table></div>`
}
