// Charts by ECharts, of the figures that stand in the page; their table is beside them.
"use strict";
(() => {
  const drawn = new Map();
  const grouped = new Intl.NumberFormat("en");

  function colour(name) {
    const probe = document.createElement("span");
    probe.className = `tone-${name} hidden`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function options(figures) {
    const text = colour("text"), line = colour("line");
    const shades = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"].map(colour);
    return {
      animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      color: shades,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: text },
      grid: { left: 8, right: 16, top: figures.series.length > 1 ? 40 : 16, bottom: 8, containLabel: true },
      legend: { show: figures.series.length > 1, top: 0, left: 0, textStyle: { color: text } },
      // Rich text: the other kind would need styles that the page's policy forbids.
      tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: (value) => `${grouped.format(value)} ${figures.unit ?? ""}` },
      xAxis: { type: "category", data: figures.labels, axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, axisLabel: { color: text } },
      yAxis: { type: "value", splitLine: { lineStyle: { color: line } }, axisLabel: { color: text, formatter: (value) => grouped.format(value) } },
      series: figures.series.map((each) => ({
        name: each.name,
        type: figures.kind ?? "bar",
        stack: figures.stacked ? "all" : undefined,
        barMaxWidth: 36,
        symbolSize: 6,
        data: each.values,
      })),
    };
  }

  function draw() {
    for (const [place, chart] of drawn) {
      if (!place.isConnected) { chart.dispose(); drawn.delete(place); }
    }
    for (const place of document.querySelectorAll("[data-chart]")) {
      const figures = JSON.parse(place.dataset.chart);
      const chart = drawn.get(place) ?? echarts.init(place, null, { renderer: "canvas" });
      drawn.set(place, chart);
      chart.setOption(options(figures), true);
    }
  }

  addEventListener("resize", () => { for (const chart of drawn.values()) chart.resize(); });
  document.addEventListener("theme", draw);
  document.addEventListener("htmx:afterSettle", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
