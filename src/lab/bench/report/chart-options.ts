/** Bars with whiskers, and lines, in echarts' terms. Text is `currentColor`: the page's, in light and in dark. */
import type { Summary } from '../statistics.js';
import type { Chart } from './render.js';

type Drawing = Pick<Chart, 'widthPixels' | 'heightPixels' | 'legend' | 'option'>;

const WIDTH = 660;
const TEXT = { color: 'currentColor', fontFamily: 'system-ui, sans-serif', fontSize: 12 };
const FAINT = { lineStyle: { color: 'currentColor', opacity: 0.18 } };
const AXIS = { lineStyle: { color: 'currentColor', opacity: 0.45 } };
/** Readable on white and on near-black. */
const barColors = ['#2f7fd1', '#e08a1e'];
const systemColors: { readonly [system: string]: string } = {
  raw: '#8a8f98',
  kernel: '#2f7fd1',
  'twill-vxlan': '#1f9d61',
  'twill-udp': '#7a5cc9',
  'twill-vxlan-plain': '#86b82e',
  'twill-udp-plain': '#c05ab8',
  'twill-to-kernel': '#17a3a3',
  'kernel-to-twill': '#5a9fb5',
  loop: '#d64545',
};
const otherColors = ['#e08a1e', '#b0892f', '#a0624a', '#5c6bc0', '#c2708c', '#6b8f71'];

export interface BarData {
  readonly unit: string;
  readonly categories: readonly string[];
  /** One value for each category; null: not measured. */
  readonly series: readonly { readonly name: string; readonly values: readonly (Summary | null)[] }[];
}

export function barChart({ unit, categories, series }: BarData): Drawing {
  const count = series.length;
  const rowPixels = 14 * count + 12;
  return {
    widthPixels: WIDTH,
    heightPixels: categories.length * rowPixels + 66,
    legend: series.map(({ name }, at) => ({ name, color: barColors[at] ?? '#888888' })),
    option: {
      textStyle: TEXT,
      color: barColors,
      grid: { left: 172, right: 62, top: 8, bottom: 52 },
      xAxis: {
        ...{ type: 'value', name: unit, nameLocation: 'middle', nameGap: 30, nameTextStyle: TEXT },
        ...{ axisLabel: TEXT, splitLine: FAINT },
      },
      yAxis: {
        ...{ type: 'category', inverse: true, data: [...categories], axisLabel: { ...TEXT, interval: 0 } },
        ...{ axisLine: AXIS, axisTick: { show: false } },
      },
      series: [
        ...series.map(({ name, values }) => ({
          ...{ type: 'bar', name, barGap: '12%', barCategoryGap: '28%' },
          data: values.map((value) => value?.median ?? null),
        })),
        ...series.map(({ values }, at) => whiskers(values, at, count)),
      ],
    },
  };
}

interface DrawApi {
  value(dimension: number): number;
  coord(point: [number, number]): [number, number];
  barLayout(layout: object): { offsetCenter: number }[];
}

/** From the lowest to the highest round, across the bar of series `at`, with the median in figures behind. */
function whiskers(values: readonly (Summary | null)[], at: number, count: number): object {
  const half = 3;
  return {
    type: 'custom',
    silent: true,
    z: 5,
    data: values.flatMap((value, row) => (value ? [[value.low, value.high, row, value.median]] : [])),
    encode: { x: [0, 1], y: 2 },
    renderItem: (_: unknown, api: DrawApi) => {
      const offset = api.barLayout({ barGap: '12%', barCategoryGap: '28%', count })[at]?.offsetCenter ?? 0;
      const row = api.value(2);
      const [low, middle] = api.coord([api.value(0), row]);
      const [high] = api.coord([api.value(1), row]);
      const y = middle + offset;
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        ...{ type: 'line', shape: { x1, y1, x2, y2 } },
        style: { stroke: 'currentColor', lineWidth: 1, opacity: 0.75 },
      });
      const label = {
        ...{ type: 'text', x: high + 6, y },
        style: {
          text: figureText(api.value(3)),
          fill: 'currentColor',
          font: '11px system-ui, sans-serif',
          verticalAlign: 'middle',
        },
      };
      return {
        type: 'group',
        children: [
          line(low, y, high, y),
          line(low, y - half, low, y + half),
          line(high, y - half, high, y + half),
          label,
        ],
      };
    },
  };
}

/** Three significant digits. */
export function figureText(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3);
}

export interface LineData {
  readonly unit: string;
  readonly xName: string;
  readonly x: readonly string[];
  readonly isLogarithmic?: boolean;
  readonly series: readonly {
    readonly system: string;
    readonly name: string;
    readonly values: readonly (number | null)[];
  }[];
}

export function lineChart({ unit, xName, x, isLogarithmic, series }: LineData): Drawing {
  const colors = colorsOf(series.map(({ system }) => system));
  return {
    widthPixels: WIDTH,
    heightPixels: 340,
    legend: series.map(({ name }, at) => ({ name, color: colors[at] ?? '#888888' })),
    option: {
      textStyle: TEXT,
      color: colors,
      grid: { left: 76, right: 28, top: 16, bottom: 52 },
      xAxis: {
        ...{
          type: 'category',
          data: [...x],
          name: xName,
          nameLocation: 'middle',
          nameGap: 30,
          nameTextStyle: TEXT,
        },
        ...{ axisLabel: TEXT, axisLine: AXIS, axisTick: { show: false } },
      },
      yAxis: {
        ...{ type: isLogarithmic ? 'log' : 'value', name: unit, nameLocation: 'middle', nameGap: 52 },
        ...{ nameTextStyle: TEXT, axisLabel: TEXT, splitLine: FAINT },
      },
      series: series.map(({ name, values }) => ({
        ...{ type: 'line', name, data: [...values], symbol: 'circle', symbolSize: 7 },
        ...{ connectNulls: false, lineStyle: { width: 2 } },
      })),
    },
  };
}

function colorsOf(systems: readonly string[]): string[] {
  let next = 0;
  return systems.map(
    (system) => systemColors[system] ?? otherColors[next++ % otherColors.length] ?? '#888888',
  );
}
