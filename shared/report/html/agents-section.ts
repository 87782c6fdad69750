import { formatBytes } from '../../base/index.ts';
import { formatMs } from '../format.ts';
import type { Summary } from '../summary.ts';
import { chart } from './chart-frame.ts';
import { html, NOTHING, type Html } from './markup.ts';
import { HEALTH } from './page-data.ts';

/** How the generator itself was doing: worst values of the run, opened to the agent's health over time. */
export function agentsSection({ agents, run }: Summary, isDrawn: boolean): Html {
  const { planned, reported, lost } = run.agents;
  const spread =
    run.startSpreadMs === undefined || reported < 2 ? '' : ` They started within ${formatMs(run.startSpreadMs)} of each other.`;
  const rows = agents.map(
    (
      agent,
      i,
    ) => html`<tbody><tr${agent.isLost ? html` class="lost"` : NOTHING}><th scope="row" data-value="${agent.agent}"><button type="button" class="opens" aria-expanded="false" aria-controls="agent-${i}">${agent.agent}</button>${agent.isLost ? html` <strong class="bad">lost</strong>` : NOTHING}</th>
${cell(agent.cpuMean, agent.cpuMean.toFixed(2))}${cell(agent.cpuWorst, agent.cpuWorst.toFixed(2))}${cell(agent.pacerLagP99WorstMs, formatMs(agent.pacerLagP99WorstMs))}${cell(agent.pacerLagMaxMs, formatMs(agent.pacerLagMaxMs))}${cell(agent.loopDelayMaxMs, formatMs(agent.loopDelayMaxMs))}${cell(agent.rssMaxBytes, formatBytes(agent.rssMaxBytes))}</tr>
<tr id="agent-${i}" class="opened" hidden><td colspan="7"><div class="agent-charts" data-agent="${agent.agent}"></div></td></tr></tbody>`,
  );
  const head = ['Agent', 'CPU mean', 'CPU worst', 'Pacer lag p99, worst', 'Pacer lag max', 'Loop delay max', 'Memory max'];
  return html`<section id="agents" aria-labelledby="agents-title">
    <h2 id="agents-title">Agents</h2>
    <p class="hint">${planned} planned, ${reported} reported, ${lost} lost.${spread}</p>
    ${isDrawn ? overview() : NOTHING}
    ${
      agents.length === 0
        ? html`<p class="calm">No agent reported its health.</p>`
        : html`<div class="scroll">
            <table class="sortable">
              <caption class="sr">
                Agents
              </caption>
              <thead>
                <tr>
                  ${head.map((title, i) => html`<th scope="col" class="${i === 0 ? 'text' : 'number'}"><button type="button" class="sort">${title}</button></th>`)}
                </tr>
              </thead>
              ${rows}
            </table>
          </div>`
    }
  </section>`;
}

function overview(): Html {
  return html`<div class="controls">
      <label
        >Health
        <select id="health">
          ${Object.entries(HEALTH).map(([name, { title }]) => html`<option value="${name}">${title}</option>`)}
        </select></label
      >
    </div>
    ${chart('chart-health', 'Health over time', 'One line per agent; of more than twelve, those that were worst.')}`;
}

function cell(value: number, text: string): Html {
  return html`<td class="number" data-value="${value}">${text}</td>`;
}
