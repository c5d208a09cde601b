package main

import "errors"

func runScenario(endpoint, name string) error { return errors.New("unknown scenario " + name) }
