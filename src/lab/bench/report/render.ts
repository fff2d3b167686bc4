/** Charts to SVG text without a browser, by echarts, which is loaded only here and only when a report is wanted. */
import { TwillError } from '../../../errors.js';

/** What echarts calls an option: plain data that says what to draw. */
export interface Chart {
  readonly title: string;
  readonly note: string;
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** Drawn by the page: without a browser nobody knows how wide text is. */
  readonly legend: readonly { readonly name: string; readonly color: string }[];
  readonly option: object;
}

export type Renderer = (chart: Chart) => string;

export async function loadRenderer(): Promise<Renderer> {
  const echarts = await import('echarts').catch((cause: unknown) => {
    throw new TwillError(
      'ERR_TWILL_INTERNAL',
      'the HTML report needs the package echarts, which does not come with Twill: "npm install echarts"',
      { cause },
    );
  });
  return ({ option, widthPixels, heightPixels }) => {
    const size = { width: widthPixels, height: heightPixels };
    const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...size });
    chart.setOption({ animation: false, ...option });
    const svg = chart.renderToSVGString();
    chart.dispose();
    return svg;
  };
}
