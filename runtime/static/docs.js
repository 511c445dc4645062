// Starts Swagger UI; a file of its own because the page's policy allows no inline script.
"use strict";

const place = document.getElementById("swagger-ui");

SwaggerUIBundle({
  url: place.dataset.openapi,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  tagsSorter: "alpha",
  defaultModelsExpandDepth: 0, // the list of schemas is there, closed
  displayRequestDuration: true,
  tryItOutEnabled: true,
  showExtensions: true,
  showCommonExtensions: true,
  validatorUrl: null, // no document leaves this origin
});
