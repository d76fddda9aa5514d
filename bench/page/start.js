document.documentElement.classList.add("on");
(async () => {
  const [lines, trials, looks] = [rowsOf(await read("lines")), rowsOf(await read("trials-data")), await read("looks")];
  startBoard(lines, startTrials(trials));
  startTheme(startCurves(lines, looks));
  document.documentElement.dataset.ready = "";
})().catch((error) => {
  document.documentElement.classList.remove("on");
  byId("trouble").hidden = false;
  throw error;
});
