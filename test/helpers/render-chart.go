// Renders the templates of a Helm chart with Go's template engine, as Helm does. It defines the functions that the
// chart uses and reads the values as JSON from standard input. Usage: go run render-chart.go CHART
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
)

// The API versions that the server has; Helm's type has the same method.
type versions []interface{}

func (list versions) Has(wanted string) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}

func main() {
	var data map[string]interface{}
	if err := json.NewDecoder(os.Stdin).Decode(&data); err != nil {
		panic(err)
	}
	served, _ := data["APIVersions"].([]interface{})
	data["Capabilities"] = map[string]interface{}{"APIVersions": versions(served)}
	functions := template.FuncMap{
		"toJson": func(value interface{}) (string, error) {
			text, err := json.Marshal(value)
			return string(text), err
		},
		"quote": func(value interface{}) string { return strconv.Quote(fmt.Sprint(value)) },
		"default": func(fallback, value interface{}) interface{} {
			if value == nil || value == "" {
				return fallback
			}
			return value
		},
	}
	files, err := filepath.Glob(filepath.Join(os.Args[1], "templates", "*"))
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		parsed := template.Must(template.New(filepath.Base(file)).Option("missingkey=error").Funcs(functions).Parse(string(text)))
		fmt.Printf("---\n# Source: %s\n", filepath.Base(file))
		if err := parsed.Execute(os.Stdout, data); err != nil {
			panic(err)
		}
	}
}
