"use strict";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const told = await ask("api/v1/forgot", { identity: document.getElementById("identity").value });
  if (told) {
    done(told.told);
  }
});
