"""The doctor's view: results of other hospitals in a browser, served by a command on the hospital's own machine."""
