"""How the plots of a report are drawn; `promptkit.reports.plots` names them."""
